//! The HTTP server.

use std::io;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, Response, Uri, header::CONTENT_TYPE},
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    SharedWorld,
    calls::caller,
    connection::{CuttableListener, Cutter},
    faults::FaultKind,
    query::Parameters,
    world::{Reply, Request},
};

/// What every request carries besides its action's parameters.
const COMMON: &[&str] = &[
    "AWSAccessKeyId",
    "Expires",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// Serves the world until the task is aborted.
pub(crate) fn serve(listener: TcpListener, world: SharedWorld) -> JoinHandle<io::Result<()>> {
    let service = Router::new().fallback(answer).with_state(world).into_make_service_with_connect_info::<Cutter>();
    tokio::spawn(async { axum::serve(CuttableListener(listener), service).await })
}

fn read(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Request {
    let in_uri = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut parameters: Parameters = in_uri.into_owned().chain(form_urlencoded::parse(body).into_owned()).collect();
    parameters.retain(|name, _| !COMMON.contains(&name.as_str()) && !name.starts_with("X-Amz-"));
    let action = parameters.remove("Action").unwrap_or_default();
    Request { action, parameters, caller: caller(headers) }
}

async fn answer(
    State(world): State<SharedWorld>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let request = read(&uri, &headers, &body);
    let fault = world.lock().strike(&request);
    let slow = if let Some(FaultKind::Slow(duration)) = fault { Some(duration) } else { None };
    let action = request.action.clone();
    let reply = world.lock().handle(request, fault);
    // The work is done whether or not the caller waits for the answer.
    if let Some(duration) = slow {
        tokio::time::sleep(duration).await;
    }
    match reply {
        Reply::Reset => {
            tracing::debug!(action, "the connection is reset");
            cutter.cut();
            Response::new(Body::empty())
        }
        Reply::Answer { status, body, request_id } => {
            tracing::debug!(action, status, "answered");
            let response = Response::builder()
                .status(status)
                .header(CONTENT_TYPE, "text/xml;charset=UTF-8")
                .header("x-amzn-requestid", request_id)
                .body(Body::from(body));
            response.unwrap_or_default()
        }
    }
}
