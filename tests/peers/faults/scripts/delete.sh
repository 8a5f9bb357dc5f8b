# Deregisters an image and deletes its snapshots: delete.sh IMAGE
set -euo pipefail
query='Images[].BlockDeviceMappings[].Ebs.SnapshotId'
snapshots=$(aws ec2 describe-images --image-ids "$1" --query "$query" --output text)
aws ec2 deregister-image --image-id "$1"
for snapshot in $snapshots; do
  aws ec2 delete-snapshot --snapshot-id "$snapshot"
done
