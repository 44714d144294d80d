//! Calls of gRPC on a connection each: a message goes out behind five bytes, and what comes is as many messages, and the status of
//! the call in the trailers. Must not know: what messages say.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::wire::http2::{AnswerPart, Block, HeadWriter, Single};

/// Longest message that is taken: more than all that is read at a time may be together.
const MOST_MESSAGE: usize = 32 << 20;
/// Interim responses, of which etcd has none, that are waited through.
const MOST_INTERIM: usize = 10;
const USER_AGENT: &[u8] = concat!("balancer/", env!("CARGO_PKG_VERSION")).as_bytes();
const HEAD: usize = 5;

/// How a call failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// No answer that can be understood.
    Broken(String),
    /// An answer: code and words.
    Status(u16, String),
}

/// A stream that etcd can be reached by.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Where calls go and who makes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) secure: bool,
    pub(super) authority: &'a str,
    pub(super) token: Option<&'a str>,
}

/// A call, of which messages go out and come.
pub(super) struct GrpcCall {
    asked: Single<Box<dyn Wire>>,
    come: Vec<u8>,
    has_head: bool,
}

impl GrpcCall {
    pub(super) fn begin(stream: Box<dyn Wire>, caller: Caller<'_>, method: &str) -> Result<Self, CallError> {
        let mut asked = Single::new(stream);
        let head = |head: &mut HeadWriter<'_>| {
            head.request(b"POST", caller.secure, caller.authority.as_bytes(), method.as_bytes());
            head.field(b"content-type", b"application/grpc");
            head.field(b"te", b"trailers");
            head.field(b"user-agent", USER_AGENT);
            // A member that has lost the others says so instead of what it knows.
            head.field(b"hasleader", b"true");
            if let Some(token) = caller.token {
                head.field(b"token", token.as_bytes());
            }
        };
        asked.begin(head).map_err(|_| CallError::Broken("the request has no form in HTTP/2".to_owned()))?;
        Ok(Self { asked, come: Vec::new(), has_head: false })
    }

    /// Sends a message; `ends`: and that is all.
    pub(super) async fn send(&mut self, message: &[u8], ends: bool) {
        let mut framed = Vec::with_capacity(HEAD + message.len());
        framed.push(0);
        framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        framed.extend_from_slice(message);
        self.asked.say(&framed, ends).await;
    }

    /// The next message. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, CallError> {
        if !self.has_head {
            self.head().await?;
        }
        loop {
            if let Some(message) = self.take_message()? {
                return Ok(message);
            }
            match self.asked.content(&mut self.come).await {
                Ok(AnswerPart::Content) => {}
                Ok(AnswerPart::End(Some(trailers))) => {
                    return Err(status(&trailers).unwrap_or_else(|| broken("there is no grpc-status")));
                }
                Ok(AnswerPart::End(None)) => return Err(broken("it ends without a grpc-status")),
                Err(end) => return Err(CallError::Broken(end.to_string())),
            }
        }
    }

    async fn head(&mut self) -> Result<(), CallError> {
        for _ in 0..MOST_INTERIM {
            let head = self.asked.answer().await.map_err(|end| CallError::Broken(end.to_string()))?;
            match head.status() {
                100..200 => {}
                200 => {
                    self.has_head = true;
                    // A call that fails at once has all in one.
                    return if self.asked.is_whole() {
                        Err(status(&head).unwrap_or_else(|| broken("there is no grpc-status")))
                    } else {
                        Ok(())
                    };
                }
                code => {
                    return Err(CallError::Broken(format!("it answers with status {code}, and is no etcd")));
                }
            }
        }
        Err(broken("there are too many interim responses"))
    }

    fn take_message(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        let Some(([flag, length @ ..], rest)) = self.come.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        if *flag != 0 {
            return Err(broken("a message is compressed, which was not asked for"));
        }
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MOST_MESSAGE {
            return Err(CallError::Broken(format!(
                "a message of {length} bytes; allowed: {MOST_MESSAGE} at most"
            )));
        }
        let Some(message) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.come.drain(..HEAD + length);
        Ok(Some(message))
    }
}

/// One message for one.
pub(super) async fn ask(
    stream: Box<dyn Wire>,
    caller: Caller<'_>,
    method: &str,
    message: &[u8],
    patience: Duration,
) -> Result<Vec<u8>, CallError> {
    let asked = async {
        let mut call = GrpcCall::begin(stream, caller, method)?;
        call.send(message, true).await;
        call.next().await
    };
    timeout(patience, asked)
        .await
        .unwrap_or_else(|_| Err(CallError::Broken(format!("no answer within {patience:?}"))))
}

fn broken(why: &str) -> CallError {
    CallError::Broken(why.to_owned())
}

/// The status of the call, in trailers or in a head that is all.
fn status(fields: &Block) -> Option<CallError> {
    let value = |name: &[u8]| {
        let field = fields.lines().find(|field| field.name == name)?;
        Some(String::from_utf8_lossy(field.value).into_owned())
    };
    let code = value(b"grpc-status")?.parse().ok()?;
    if code == 0 {
        // With a message it would have been taken before.
        return Some(broken("the call ends without a message"));
    }
    Some(CallError::Status(code, decoded(&value(b"grpc-message").unwrap_or_default())))
}

/// Words that came in percent-encoding, without what would move a terminal's cursor, and no more than one reads.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after.first_chunk::<2>().filter(|_| *first == b'%');
        let code = code.and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded_and_bounded() {
        assert_eq!(decoded("etcdserver: user%20name%3A x"), "etcdserver: user name: x");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%0a%e4"), "%zz \u{fffd}");
        assert_eq!(decoded(&"x".repeat(9000)).len(), 500);
    }

    /// What comes of a call whose other side answers with these bytes, whatever it is asked.
    async fn answered(bytes: &[u8]) -> CallError {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let caller = Caller { secure: false, authority: "a", token: None };
        let bytes = bytes.to_vec();
        let other = async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let _ = far.read(&mut [0; 1024]).await;
            let _ = far.write_all(&bytes).await;
            let _ = far.shutdown().await;
            let _ = far.read_to_end(&mut Vec::new()).await;
        };
        let asked = ask(Box::new(near), caller, "/x/Y", b"", Duration::from_secs(10));
        tokio::join!(asked, other).0.unwrap_err()
    }

    #[tokio::test]
    async fn garbage_is_an_error_with_words() {
        for bytes in
            [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"", b"\x15\x03\x01\x00\x02\x02\x16", &[0; 100]]
        {
            let CallError::Broken(words) = answered(bytes).await else { panic!("{bytes:?}") };
            assert!(!words.is_empty());
        }
    }

    /// What a call brings that a server of the `h2` crate answers with these bytes and trailers.
    async fn served(body: &'static [u8], status: &'static str) -> Vec<Result<Vec<u8>, CallError>> {
        let (near, far) = tokio::io::duplex(1 << 20);
        let server = async move {
            let mut connection = h2::server::handshake(far).await.unwrap();
            let (request, mut respond) = connection.accept().await.unwrap().unwrap();
            let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
            stream.send_data(bytes::Bytes::from_static(body), false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            trailers.insert("grpc-message", "why%20not".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
            let mut asked = request.into_body();
            let read = async move {
                while let Some(Ok(part)) = asked.data().await {
                    asked.flow_control().release_capacity(part.len()).unwrap();
                }
            };
            tokio::spawn(read);
            while connection.accept().await.is_some() {}
        };
        let client = async move {
            let caller = Caller { secure: false, authority: "a", token: None };
            let mut call = GrpcCall::begin(Box::new(near), caller, "/x/Y").unwrap();
            call.send(&[7; 300_000], true).await;
            let mut all = Vec::new();
            loop {
                let next = call.next().await;
                let is_end = next.is_err();
                all.push(next);
                if is_end {
                    return all;
                }
            }
        };
        tokio::select! {
            all = client => all,
            () = server => panic!("the client ends first"),
        }
    }

    #[tokio::test]
    async fn messages_come_one_by_one_and_then_the_status() {
        let all = served(b"\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\x01c", "5").await;
        assert_eq!(
            all,
            [
                Ok(b"ab".to_vec()),
                Ok(Vec::new()),
                Ok(b"c".to_vec()),
                Err(CallError::Status(5, "why not".to_owned()))
            ]
        );
        let too_much = served(b"\0\xff\xff\xff\xff", "0").await;
        assert!(
            matches!(&too_much[..], [Err(CallError::Broken(words))] if words.contains("4294967295 bytes"))
        );
        let compressed = served(b"\x01\0\0\0\0", "0").await;
        assert!(matches!(&compressed[..], [Err(CallError::Broken(words))] if words.contains("compressed")));
    }
}
