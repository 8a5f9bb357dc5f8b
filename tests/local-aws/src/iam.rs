//! IAM asks before each call whether the caller's role allows it, once it is on. MiniStack judges; the policies are those
//! that are deployed.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
};

use anyhow::{Context, Result};
use local_ec2::Call;
use permissions::{function, needed};
use serde_json::Value;

/// Judges the functions' calls of EC2.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    port: u16,
    /// The ARNs of the functions' roles, by what the template calls the functions.
    roles: BTreeMap<String, String>,
}

impl Judge {
    pub(crate) fn new(port: u16, roles: BTreeMap<String, String>) -> Self {
        Self { port, roles }
    }

    /// Whether a call is allowed. Who is no function of the application may do everything.
    pub(crate) fn allows(&self, call: &Call) -> bool {
        let Some(role) = function(&call.caller).and_then(|function| self.roles.get(&function)) else { return true };
        let lines: Vec<Value> = needed(call).iter().filter_map(|line| serde_json::to_value(line).ok()).collect();
        lines.iter().all(|line| self.allows_line(role, line).unwrap_or(false))
    }

    fn allows_line(&self, role: &str, line: &Value) -> Result<bool> {
        for resource in line["resources"].as_array().into_iter().flatten() {
            let mut form = vec![
                ("Action".to_owned(), "SimulatePrincipalPolicy".to_owned()),
                ("Version".to_owned(), "2010-05-08".to_owned()),
                ("PolicySourceArn".to_owned(), role.to_owned()),
                ("ActionNames.member.1".to_owned(), text(&line["action"])),
                ("ResourceArns.member.1".to_owned(), text(resource)),
            ];
            for (number, (key, value)) in (1..).zip(line["context"].as_object().into_iter().flatten()) {
                let entry = format!("ContextEntries.member.{number}");
                let (kind, values) = match value {
                    Value::Array(values) => ("stringList", values.iter().map(text).collect()),
                    value => ("string", vec![text(value)]),
                };
                form.push((format!("{entry}.ContextKeyName"), key.clone()));
                form.push((format!("{entry}.ContextKeyType"), kind.to_owned()));
                for (at, value) in (1..).zip(values) {
                    form.push((format!("{entry}.ContextKeyValues.member.{at}"), value));
                }
            }
            if !self.ask(&form)?.contains("<EvalDecision>allowed</EvalDecision>") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn ask(&self, form: &[(String, String)]) -> Result<String> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let credential =
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("MiniStack does not answer")?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: localhost\r\nauthorization: {credential}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
