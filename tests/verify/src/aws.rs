//! An AWS account as its credentials see it. Every call is signed here and answered as JSON, and its answer can be
//! kept as it came.
//!
//! The AWS SDK has a crate for each of the seventeen services that are called; together they would compile for
//! longer than a proof takes.

mod form;
mod service;
mod xml;

use std::{
    collections::BTreeMap,
    env,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, SharedHttpConnector},
        orchestrator::HttpRequest,
    },
    http::Headers,
};
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::{Value, json};
use thiserror::Error;

pub(crate) use self::form::escaped;
use self::service::Protocol;
pub use self::service::{
    CLOUDFORMATION, CLOUDWATCH, EBS, EC2, EVENTBRIDGE, IAM, KMS, LAMBDA, LOGS, QUOTAS, RECYCLE_BIN, SCHEDULER, SNS,
    SQS, SSM, STEP_FUNCTIONS, STEP_FUNCTIONS_SYNC, STS, Service,
};

/// Where all services are, in place of AWS's own addresses; one of them, with its id behind.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How services say that they are called too often (botocore's `_retry.json`).
const THROTTLED: [&str; 11] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "Throttled",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "TooManyRequestsException",
    "SlowDown",
];
/// A call that does not answer; a sweep may take five minutes.
const LONGEST_CALL: Duration = Duration::from_secs(60);
const LONGEST_INVOCATION: Duration = Duration::from_secs(330);

/// Regions whose services have addresses of their own.
#[derive(Debug)]
struct Partition {
    /// How their names begin.
    regions: &'static str,
    suffix: &'static str,
    /// What the address of a service that has one for all Regions has before the suffix.
    iam: &'static str,
    global_region: &'static str,
}

const fn partition(
    regions: &'static str,
    suffix: &'static str,
    iam: &'static str,
    global_region: &'static str,
) -> Partition {
    Partition { regions, suffix, iam, global_region }
}

/// After botocore's `endpoints.json`; the last one has all others.
const PARTITIONS: [Partition; 8] = [
    partition("cn-", "amazonaws.com.cn", "cn-north-1.", "cn-north-1"),
    partition("us-gov-", "amazonaws.com", "us-gov.", "us-gov-west-1"),
    partition("eusc-", "amazonaws.eu", "eusc-de-east-1.", "eusc-de-east-1"),
    partition("us-isob-", "sc2s.sgov.gov", "us-isob-east-1.", "us-isob-east-1"),
    partition("us-isof-", "csp.hci.ic.gov", "us-isof-south-1.", "us-isof-south-1"),
    partition("eu-isoe-", "cloud.adc-e.uk", "eu-isoe-west-1.", "eu-isoe-west-1"),
    partition("us-iso-", "c2s.ic.gov", "us-iso-east-1.", "us-iso-east-1"),
    partition("", "amazonaws.com", "", "us-east-1"),
];

/// An account's services in a Region.
#[derive(Debug)]
pub struct Aws {
    /// The Region.
    pub region: String,
    credentials: SharedCredentialsProvider,
    known: tokio::sync::Mutex<Option<Credentials>>,
    connector: SharedHttpConnector,
    endpoints: BTreeMap<String, String>,
    kept: Mutex<Vec<Exchange>>,
    since: Instant,
    speed: f64,
}

/// A request and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// The service's first name.
    pub service: &'static str,
    /// The action.
    pub action: String,
    /// When the answer came, in milliseconds since the account was first spoken to.
    pub millis: u64,
    /// What was sent: a form, or JSON.
    pub request: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The answer as it came.
    pub answer: String,
}

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{action}: {code}: {message}")]
pub struct Refusal {
    /// The action.
    pub action: String,
    /// The error's code.
    pub code: String,
    /// What AWS says.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

impl Refusal {
    /// That of an error of this module, if AWS has answered at all.
    pub fn of(error: &anyhow::Error) -> Option<&Self> {
        error.downcast_ref()
    }

    fn is_worth_another_try(&self) -> bool {
        self.is_throttled() || self.status >= 500
    }

    /// AWS has done nothing, and does it later. EC2 says so with a status of 503.
    fn is_throttled(&self) -> bool {
        self.status == 429 || THROTTLED.contains(&self.code.as_str())
    }

    /// Whether what the call is about is not there.
    pub fn is_not_there(&self) -> bool {
        let ends =
            ["NotFound", ".Unavailable", "NotFoundException", "DoesNotExist", "NonExistentQueue", "NoSuchEntity"];
        self.status == 404 || ends.iter().any(|end| self.code.ends_with(end))
    }
}

impl Aws {
    /// The account of the default credential chain, in a Region or else in the one that the chain knows. `speed` is
    /// how many times faster than real its time runs.
    pub async fn connect(region: Option<String>, speed: f64) -> Result<Self> {
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        let loader = match region {
            Some(region) => loader.region(Region::new(region)),
            None => loader,
        };
        let client = aws_smithy_http_client::Builder::new().tls_provider(tls()).build_https();
        let config = loader.http_client(client).load().await;
        let region = config.region().context("no Region is known: give one with --region")?.to_string();
        let credentials = config.credentials_provider().context("no credentials were found")?;
        Ok(Self::of(region, credentials, env::vars().collect(), speed))
    }

    /// The account of some credentials. `environment` may have `AWS_ENDPOINT_URL`, and one for each service.
    pub fn of(
        region: String,
        credentials: SharedCredentialsProvider,
        environment: BTreeMap<String, String>,
        speed: f64,
    ) -> Self {
        let connector = SharedHttpConnector::new(Connector::builder().tls_provider(tls()).build());
        let of_service = |name: &str| service::ALL.iter().any(|service| service.id == name);
        let is_endpoint = |name: &String| {
            let rest = name.strip_prefix(ENDPOINT);
            rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('_').is_some_and(of_service))
        };
        let endpoints = environment.into_iter().filter(|(name, _)| is_endpoint(name)).collect();
        Self {
            region,
            credentials,
            known: tokio::sync::Mutex::default(),
            connector,
            endpoints,
            kept: Mutex::default(),
            since: Instant::now(),
            speed,
        }
    }

    /// Whether it is AWS itself, and not something that stands for it.
    pub fn is_real(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Waits for that long, as time runs there.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.wall(duration)).await;
    }

    /// How much of the wall's time that is.
    pub fn wall(&self, duration: Duration) -> Duration {
        duration.div_f64(self.speed)
    }

    /// How much time goes by there in that much of the wall's.
    pub fn elapsed(&self, wall: Duration) -> Duration {
        wall.mul_f64(self.speed)
    }

    /// How long the credentials last, if they end: none if they do not say.
    pub async fn credentials_last(&self) -> Result<Option<Option<Duration>>> {
        let credentials = self.credentials().await?;
        let left = |end: SystemTime| end.duration_since(SystemTime::now()).unwrap_or_default();
        Ok(credentials.session_token().map(|_| credentials.expiry().map(left)))
    }

    /// Takes the exchanges since the last time.
    pub fn take_exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls an action with arguments, and gives its answer. Where the action only looks, what may pass is tried
    /// again; what changes something is tried again only if AWS has said that it did nothing.
    pub async fn call(&self, service: Service, action: &str, arguments: Value) -> Result<Value> {
        let (path, body, headers) = match service.protocol {
            Protocol::Query { version, lists } => {
                let named = json!({"Action": action, "Version": version});
                let pairs = [form::pairs(&named, lists), form::pairs(&arguments, lists)].concat();
                let kind = ("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned());
                ("/".to_owned(), form::encoded(&pairs), vec![kind])
            }
            Protocol::Json { target, version } => {
                let kind = ("content-type", format!("application/x-amz-json-{version}"));
                ("/".to_owned(), arguments.to_string(), vec![kind, ("x-amz-target", format!("{target}.{action}"))])
            }
            Protocol::Rest => bail!("{} is called by method and path", service.host),
        };
        // The same start or stop again does no more.
        let again = ["Describe", "Get", "List", "Simulate", "Test", "StartExecution", "StopExecution"];
        let looks = again.iter().any(|verb| action.starts_with(verb));
        self.send(service, Sending { action, method: "POST", path, body, headers, looks }).await
    }

    /// Calls a path of a service, with JSON unless it is null.
    pub async fn rest(&self, service: Service, method: &'static str, path: &str, body: Value) -> Result<Value> {
        let headers = vec![("content-type", "application/json".to_owned())];
        self.rest_with(service, method, path, body, headers).await
    }

    /// The same, with headers.
    pub async fn rest_with(
        &self,
        service: Service,
        method: &'static str,
        path: &str,
        body: Value,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send_text(service, method, path, body, headers).await
    }

    /// The same, with any text.
    pub async fn send_text(
        &self,
        service: Service,
        method: &'static str,
        path: &str,
        body: String,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Value> {
        let action = format!("{method} {path}");
        let looks = ["GET", "DELETE"].contains(&method);
        self.send(service, Sending { action: &action, method, path: path.to_owned(), body, headers, looks }).await
    }

    async fn send(&self, service: Service, sending: Sending<'_>) -> Result<Value> {
        let (mut attempt, mut pause) = (1, FIRST_PAUSE);
        loop {
            let answer = self.send_once(service, &sending).await;
            let error = match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = match Refusal::of(&error) {
                Some(refusal) => refusal.is_throttled() || sending.looks && refusal.is_worth_another_try(),
                None => sending.looks,
            };
            if !again || attempt == ATTEMPTS {
                return Err(error);
            }
            self.sleep(pause.mul_f64(fastrand::f64() + 0.5)).await;
            attempt += 1;
            pause *= 2;
        }
    }

    async fn send_once(&self, service: Service, sending: &Sending<'_>) -> Result<Value> {
        let mut request = HttpRequest::new(sending.body.clone().into());
        let uri = format!("{}{}", self.endpoint(service), sending.path);
        request.set_method(sending.method)?;
        request.set_uri(uri.clone())?;
        let (_, host) = uri.split_once("://").context("an endpoint is a URL")?;
        let host = host.split('/').next().unwrap_or_default().to_owned();
        request.headers_mut().insert("host", host);
        for (name, value) in &sending.headers {
            request.headers_mut().insert(*name, value.clone());
        }
        self.sign(service, &mut request, sending.body.as_bytes()).await?;
        let longest = if sending.path.ends_with("/invocations") { LONGEST_INVOCATION } else { LONGEST_CALL };
        let unreachable = || format!("{}: {} could not be reached", sending.action, service.host);
        let called = tokio::time::timeout(longest, self.connector.call(request)).await;
        let response = called.with_context(unreachable)?.with_context(unreachable)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = ByteStream::new(response.into_body()).collect().await?.into_bytes();
        let answer = String::from_utf8_lossy(&body).into_owned();
        let kept = Exchange {
            service: service.host,
            action: sending.action.to_owned(),
            millis: u64::try_from(self.elapsed(self.since.elapsed()).as_millis()).unwrap_or(u64::MAX),
            request: sending.body.clone(),
            status,
            answer: answer.clone(),
        };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        read(service, sending.action, status, &headers, &answer)
    }

    async fn sign(&self, service: Service, request: &mut HttpRequest, body: &[u8]) -> Result<()> {
        let identity = self.credentials().await?.into();
        let region = if service.is_global { self.partition().global_region } else { &self.region };
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service.signing)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = request.headers().iter();
        let signable = SignableRequest::new(request.method(), request.uri(), headers, SignableBody::Bytes(body))?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        for (name, value) in instructions.headers() {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }

    /// The credentials, asked for anew shortly before they end.
    async fn credentials(&self) -> Result<Credentials> {
        let mut known = self.known.lock().await;
        let soon = SystemTime::now() + Duration::from_secs(300);
        match &*known {
            Some(known) if known.expiry().is_none_or(|expiry| expiry > soon) => Ok(known.clone()),
            _ => {
                let fresh = self.credentials.provide_credentials().await.context("no credentials were found")?;
                Ok(known.insert(fresh).clone())
            }
        }
    }

    fn endpoint(&self, service: Service) -> String {
        let own = self.endpoints.get(&format!("{ENDPOINT}_{}", service.id));
        if let Some(url) = own.or_else(|| self.endpoints.get(ENDPOINT)) {
            return url.trim_end_matches('/').to_owned();
        }
        let Partition { suffix, iam, .. } = self.partition();
        match service.is_global {
            true => format!("https://{}.{iam}{suffix}", service.host),
            false => format!("https://{}.{}.{suffix}", service.host, self.region),
        }
    }

    /// The Region's own partition.
    fn partition(&self) -> &'static Partition {
        let own = PARTITIONS.iter().find(|partition| self.region.starts_with(partition.regions));
        own.unwrap_or(&PARTITIONS[PARTITIONS.len() - 1])
    }
}

fn tls() -> Provider {
    Provider::rustls(CryptoMode::Ring)
}

struct Sending<'a> {
    action: &'a str,
    method: &'static str,
    path: String,
    body: String,
    headers: Vec<(&'static str, String)>,
    looks: bool,
}

/// What an answer says: a value, or a refusal.
fn read(service: Service, action: &str, status: u16, headers: &Headers, answer: &str) -> Result<Value> {
    let is_xml = matches!(service.protocol, Protocol::Query { .. });
    let value = match answer {
        "" => Value::Null,
        text if is_xml => xml::value(text).with_context(|| format!("{action}: the answer is no XML: {text}"))?,
        // What a function answers may be any text.
        text => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    };
    if (200..300).contains(&status) {
        // EC2's root has the fields themselves, the other services' one more element around them.
        let result = value.get(format!("{action}Result")).cloned();
        return Ok(result.unwrap_or(value));
    }
    let error = [&value["Errors"]["Error"], &value["Error"]].into_iter().find(|error| !error.is_null());
    let error = error.unwrap_or(&value);
    let text = |names: &[&str]| names.iter().find_map(|name| error[*name].as_str()).map(str::to_owned);
    let code = headers.get("x-amzn-errortype").map(str::to_owned).or_else(|| text(&["Code", "__type", "code"]));
    let code = code.unwrap_or_else(|| status.to_string());
    // "com.amazonaws.x#Name:http://…" is Name.
    let code = code.split(':').next().and_then(|code| code.rsplit('#').next()).unwrap_or_default().to_owned();
    let message = text(&["Message", "message"]).unwrap_or_else(|| answer.to_owned());
    Err(Refusal { action: action.to_owned(), code, message, status }.into())
}

/// The items of a list; an empty list in XML is an empty text.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A text, or an empty one.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, status: u16) -> Refusal {
        Refusal { action: "DescribeImages".into(), code: code.into(), message: String::new(), status }
    }

    #[test]
    fn what_is_not_there_what_comes_too_often_and_what_is_down_are_told_apart() {
        for code in ["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "ParameterNotFound", "ExecutionDoesNotExist"]
        {
            assert!(refusal(code, 400).is_not_there() && !refusal(code, 400).is_worth_another_try(), "{code}");
        }
        for (code, is_throttled) in
            [("RequestLimitExceeded", true), ("Unavailable", false), ("ServiceUnavailable", false)]
        {
            let refusal = refusal(code, 503);
            assert!(!refusal.is_not_there() && refusal.is_worth_another_try(), "{code}");
            assert_eq!(refusal.is_throttled(), is_throttled, "{code}");
        }
    }

    #[test]
    fn each_partition_has_addresses_of_its_own() {
        let endpoints = |region: &str| {
            let credentials = SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test"));
            let aws = Aws::of(region.to_owned(), credentials, BTreeMap::new(), 1.0);
            (aws.endpoint(EC2), aws.endpoint(IAM), aws.partition().global_region)
        };
        for (region, ec2, iam, global) in [
            ("eu-west-1", "ec2.eu-west-1.amazonaws.com", "iam.amazonaws.com", "us-east-1"),
            ("us-gov-east-1", "ec2.us-gov-east-1.amazonaws.com", "iam.us-gov.amazonaws.com", "us-gov-west-1"),
            ("cn-north-1", "ec2.cn-north-1.amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("eusc-de-east-1", "ec2.eusc-de-east-1.amazonaws.eu", "iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ] {
            assert_eq!(endpoints(region), (format!("https://{ec2}"), format!("https://{iam}"), global));
        }
    }
}
