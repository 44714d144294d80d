//! What is around every answer: the name of the action, the number of the request, and what failed. Must not know: what was asked.

use super::{ApiFailure, Element};

/// The namespace of this version.
const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// The answer of `action`, a name of the API.
#[must_use]
pub fn success(action: &str, result: &Element, request_id: &str) -> String {
    let mut out = format!("<{action}Response xmlns=\"{NAMESPACE}\">");
    result.write(&mut out);
    Element::new("ResponseMetadata").text("RequestId", request_id).write(&mut out);
    out.push_str(&format!("</{action}Response>\n"));
    out
}

/// What a client is told that gets nothing else.
#[must_use]
pub fn failure(failure: &ApiFailure, request_id: &str) -> String {
    let at = if failure.status < 500 { "Sender" } else { "Receiver" };
    let error =
        Element::new("Error").text("Type", at).text("Code", failure.code).text("Message", &failure.message);
    let mut out = format!("<ErrorResponse xmlns=\"{NAMESPACE}\">");
    error.write(&mut out);
    // Made of hexadecimal digits and dashes.
    out + &format!("<RequestId>{request_id}</RequestId></ErrorResponse>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_in_their_envelopes() {
        let result = Element::new("DescribeTagsResult").text("A", "<");
        assert_eq!(
            success("DescribeTags", &result, "id"),
            "<DescribeTagsResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
             <DescribeTagsResult><A>&lt;</A></DescribeTagsResult>\
             <ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DescribeTagsResponse>\n"
        );
        assert_eq!(
            failure(&ApiFailure::validation("x & y"), "id"),
            "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
             <Error><Type>Sender</Type><Code>ValidationError</Code><Message>x &amp; y</Message></Error>\
             <RequestId>id</RequestId></ErrorResponse>\n"
        );
    }
}
