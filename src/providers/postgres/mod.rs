//! Postgres: where a database is (libpq's URL), and connections to it, directly or through a tunnel, with TLS verified
//! against the server's real name whatever the bytes travel through.

mod compare;
mod connect;
mod dial;
mod error;
mod tls;
mod url;

pub use connect::Connect;
pub use dial::{BoxStream, Dial, DialError, Direct, Room, Stream};
pub use error::PostgresError;
pub use tls::{Tls, system_roots_pem};
pub use url::{AZURE_SUFFIX, Host, SslMode, Url, UrlError};
