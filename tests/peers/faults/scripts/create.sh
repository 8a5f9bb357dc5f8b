# Makes an image of an instance: create.sh INSTANCE NAME
set -euo pipefail
image=$(aws ec2 create-image --instance-id "$1" --name "$2" --query ImageId --output text)
aws ec2 wait image-exists --image-ids "$image"
aws ec2 wait image-available --image-ids "$image"
