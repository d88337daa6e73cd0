//! Why a request could not be read. Each ends its connection: behind a request whose end is in doubt nothing can be trusted.

/// A request that was refused before any handler saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HttpError {
    /// The bytes are not HTTP/1.1, or leave their own length in doubt (RFC 9112 §11.2).
    #[error("The request is malformed: {0}.")]
    Malformed(&'static str),
    /// The request line is longer than the server reads.
    #[error("The request line is longer than this server reads.")]
    UriTooLong,
    /// The header fields together are longer than the server reads.
    #[error("The header fields are larger than this server reads.")]
    HeadTooLarge,
    /// There are more header fields than the server reads.
    #[error("There are more header fields than this server reads.")]
    TooManyHeaders,
    /// The body is longer than the server reads.
    #[error("The body is larger than this server reads.")]
    BodyTooLarge,
    /// `Expect` asks for something else than `100-continue`.
    #[error("The only expectation that this server meets is 100-continue.")]
    ExpectationFailed,
    /// A transfer coding or method that does not exist here.
    #[error("This server does not implement {0}.")]
    NotImplemented(&'static str),
    /// Neither HTTP/1.1 nor HTTP/1.0.
    #[error("This server speaks HTTP/1.1 and HTTP/1.0.")]
    VersionNotSupported,
    /// The request did not come to its end in time.
    #[error("The request did not arrive in time.")]
    Timeout,
}

impl HttpError {
    /// The status code that says so.
    pub fn status(self) -> u16 {
        match self {
            HttpError::Malformed(_) => 400,
            HttpError::Timeout => 408,
            HttpError::BodyTooLarge => 413,
            HttpError::UriTooLong => 414,
            HttpError::ExpectationFailed => 417,
            HttpError::HeadTooLarge | HttpError::TooManyHeaders => 431,
            HttpError::NotImplemented(_) => 501,
            HttpError::VersionNotSupported => 505,
        }
    }
}
