//! The XML of an answer.

use std::fmt::Display;

use quick_xml::escape::escape;

use crate::api_error::ApiError;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const AUTO_SCALING_NAMESPACE: &str = "http://autoscaling.amazonaws.com/doc/2011-01-01/";
/// The one action that is not EC2's: other services wrap their answers and errors otherwise.
pub(crate) const OF_AUTO_SCALING: &str = "DescribeLaunchConfigurations";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Elements, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    /// The answer `<return>true</return>`.
    pub(crate) fn done() -> Self {
        let mut xml = Self::default();
        xml.text("return", true);
        xml
    }

    /// `<name>value</name>`.
    pub(crate) fn text(&mut self, name: &str, value: impl Display) {
        self.element(name, |xml| xml.0.push_str(&escape(value.to_string())));
    }

    /// `<name>value</name>`, or nothing where there is no value.
    pub(crate) fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// `<name>…</name>`.
    pub(crate) fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.0.push_str(&format!("<{name}>"));
        content(self);
        self.0.push_str(&format!("</{name}>"));
    }

    /// `<name><item>…</item>…</name>`.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.element(name, |xml| {
            for item in items {
                xml.element("item", |xml| each(xml, item));
            }
        });
    }

    /// The whole answer to `action`.
    pub(crate) fn answer(self, action: &str, request_id: &str) -> String {
        let content = self.0;
        if action == OF_AUTO_SCALING {
            return format!(
                "{DECLARATION}<{action}Response xmlns=\"{AUTO_SCALING_NAMESPACE}\"><{action}Result>{content}</{action}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
            );
        }
        format!(
            "{DECLARATION}<{action}Response xmlns=\"{NAMESPACE}\"><requestId>{request_id}</requestId>{content}</{action}Response>"
        )
    }
}

/// The whole answer that says `error`, as the service of the action does: every service but EC2 has it otherwise.
pub(crate) fn error(action: &str, error: &ApiError, request_id: &str) -> String {
    let (code, message) = (escape(&*error.code), escape(&error.message));
    if action == OF_AUTO_SCALING {
        return format!(
            "{DECLARATION}<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        );
    }
    format!(
        "{DECLARATION}<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
    )
}
