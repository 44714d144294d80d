use super::*;

fn line(text: &str, secure: bool) -> String {
    let mut out = Vec::new();
    let request = Request::parse(text.as_bytes()).unwrap();
    request_line(&request, secure, "192.0.2.1:8080".parse().unwrap(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_url_is_logged_as_it_came() {
    for (text, secure, wanted) in [
        (
            "GET /a?b=%22c HTTP/1.1\r\nHost: A.example\r\n",
            false,
            "GET http://A.example:8080/a?b=%22c HTTP/1.1",
        ),
        ("GET / HTTP/1.1\r\nHost: a:9\r\n", true, "GET https://a:9/ HTTP/1.1"),
        ("GET / HTTP/1.1\r\nHost: [::1]\r\n", false, "GET http://[::1]:8080/ HTTP/1.1"),
        ("GET http://b/?x HTTP/1.1\r\nHost: a\r\n", false, "GET http://b:8080/?x HTTP/1.1"),
        ("GET / HTTP/1.0\r\n", false, "GET http://192.0.2.1:8080/ HTTP/1.0"),
        ("GET http://u:p@b/x?y@z HTTP/1.1\r\nHost: a\r\n", false, "GET http://b:8080/x?y@z HTTP/1.1"),
        ("GET ftp://u:p@b:21 HTTP/1.1\r\nHost: a\r\n", false, "GET http://b:21 HTTP/1.1"),
        ("GET u:p@b/x@y HTTP/1.1\r\nHost: a\r\n", false, "GET http://a:8080b/x@y HTTP/1.1"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n", false, "OPTIONS http://a:8080* HTTP/1.1"),
        ("GET /\"'\\ HTTP/1.1\r\nHost: a\r\n", false, "GET http://a:8080/\"'\\ HTTP/1.1"),
    ] {
        assert_eq!(line(&format!("{text}\r\n"), secure), wanted);
    }
}
