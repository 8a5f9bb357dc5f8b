//! A Step Functions that knows a few executions and nothing else.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use ami_from_instance::{app::App, events, model::run::RUN_TAG};
use aws_config::BehaviorVersion;
use aws_sdk_sfn::config::{Credentials, Region};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// An execution: its status, and for how many seconds it has ended.
pub(crate) type Executions = BTreeMap<String, (&'static str, Option<u64>)>;

/// A client of one that knows these executions by their ARNs.
pub(crate) async fn that_knows(executions: Executions) -> aws_sdk_sfn::Client {
    that_answers(move |action, input| match action {
        "ListExecutions" => (200, json!({"executions": []})),
        _ => described(input, &executions),
    })
    .await
}

/// A client of one that answers an action and its input with an HTTP status and a body.
pub(crate) async fn that_answers(
    answers: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static,
) -> aws_sdk_sfn::Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, Arc::clone(&answers)));
        }
    });
    let config = aws_sdk_sfn::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(ami_from_instance::aws::clients::http_client())
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint);
    aws_sdk_sfn::Client::from_conf(config.build())
}

async fn answer(mut connection: TcpStream, answers: Arc<impl Fn(&str, &Value) -> (u16, Value)>) {
    let mut request = vec![];
    while !is_whole(&request) {
        let mut part = [0; 4096];
        match connection.read(&mut part).await {
            Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
            _ => return,
        }
    }
    let text = String::from_utf8(request).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let target = head.lines().find(|line| line.to_ascii_lowercase().starts_with("x-amz-target:")).unwrap();
    let action = target.rsplit('.').next().unwrap().trim();
    let (status, answer) = answers(action, &serde_json::from_str(body).unwrap());
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 {status} It\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    drop(connection.write_all((head + &answer).as_bytes()).await);
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn described(input: &Value, executions: &Executions) -> (u16, Value) {
    let arn = input["executionArn"].as_str().unwrap_or_default();
    let Some((status, ended_for)) = executions.get(arn) else {
        return (400, json!({"__type": "ExecutionDoesNotExist", "message": arn}));
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut execution =
        json!({"executionArn": arn, "stateMachineArn": "arn", "startDate": now - 7_200, "status": status});
    if let Some(ended_for) = ended_for {
        execution["stopDate"] = json!(now - ended_for);
    }
    (200, execution)
}

#[tokio::test]
async fn an_event_that_comes_as_the_wait_ends_wakes_nobody_and_fails_nothing() {
    for (code, is_harmless) in [("TaskTimedOut", true), ("TaskDoesNotExist", true), ("AccessDeniedException", false)] {
        let ec2 = crate::ec2().await;
        let image = ec2.add_foreign_image("web", &[(RUN_TAG, crate::RUN)]);
        let step_functions = that_answers(move |action, _| match action {
            "GetExecutionHistory" => {
                let arguments = r#"{"Entries": [{"Detail": {"token": "t"}}]}"#;
                let details =
                    json!({"resourceType": "events", "resource": "putEvents", "region": "r", "parameters": arguments});
                let event = |id: u64, kind: &str| json!({"id": id, "timestamp": 0, "type": kind});
                let mut scheduled = event(1, "TaskScheduled");
                scheduled["taskScheduledEventDetails"] = details;
                (200, json!({"events": [event(2, "TaskSubmitted"), scheduled]}))
            }
            _ => (400, json!({"__type": code, "message": "no"})),
        })
        .await;
        let app = App { step_functions, ..crate::app(&ec2) };
        let detail = json!({"ImageId": image, "State": "available", "ErrorMessage": ""});
        let event = json!({"source": "aws.ec2", "detail-type": "EC2 AMI State Change", "detail": detail});
        let woken = events::wake::handle(&app, event).await;
        assert_eq!(woken.is_ok(), is_harmless, "{code}: {woken:?}");
        assert!(woken.is_err() || json!(woken.unwrap())["woken"] == json!(false), "{code}");
    }
}
