//! What a service sends back.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_smithy_runtime_api::{client::result::ConnectorError, http::StatusCode};
use aws_smithy_types::body::SdkBody;
use local_ec2::Reply;
use serde_json::{Value, json};

/// An answer, or a connection that was reset.
#[derive(Debug)]
pub(crate) enum Sent {
    Answer { status: u16, body: String },
    Reset,
}

impl Sent {
    pub(crate) fn json(answer: &Value) -> Self {
        Self::Answer { status: 200, body: answer.to_string() }
    }

    /// An error of Step Functions.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Answer { status, body: json!({"__type": code, "message": message}).to_string() }
    }

    /// As a client gets it.
    pub(crate) fn into_response(self) -> Result<HttpResponse, ConnectorError> {
        match self {
            Self::Reset => Err(ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())),
            Self::Answer { status, body } => {
                let status =
                    StatusCode::try_from(status).map_err(|error| ConnectorError::other(Box::new(error), None))?;
                Ok(HttpResponse::new(status, SdkBody::from(body)))
            }
        }
    }

    /// In a few words: an error's code, or what an answer holds of ids and states.
    pub(crate) fn summary(&self) -> String {
        let Self::Answer { status, body } = self else { return "reset".to_owned() };
        if *status == 200 {
            return "ok".to_owned();
        }
        let xml = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        let json: Option<Value> = serde_json::from_str(body).ok();
        let code = json.as_ref().and_then(|json| json["__type"].as_str()).or(xml.map(|(code, _)| code));
        format!("{status} {}", code.unwrap_or_default())
    }
}

impl From<Reply> for Sent {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Answer { status, body, .. } => Self::Answer { status, body },
            Reply::Reset => Self::Reset,
        }
    }
}
