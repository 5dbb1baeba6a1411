//! How name servers are asked: plainly, trusting their verdict on DNSSEC, or with every answer's signatures verified here.

use super::dname;
use super::mend::Mended;
use super::system;
use futures_util::TryStreamExt as _;
use futures_util::stream::{self, Stream};
use hickory_resolver::caching_client::CachingClient;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, FirstAnswer, RetryDnsHandle};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof as Verdict, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{
    ConnectionProvider, Hosts, NameServerPool, PoolContext, Resolver, TlsConfig, TokioResolver,
};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

/// Most record sets remembered as verified, some 200 octets each: strangers choose what is looked up, so this is bounded.
const VERIFIED_MAX: usize = 16_384;

/// How far the answers of name servers are proven.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Dnssec {
    /// Not at all. The default.
    #[default]
    Off,
    /// As far as the name servers say, by the AD bit of their answers (RFC 6840 section 5.7): anyone between them and this host
    /// who can forge that bit is believed too.
    Ad,
    /// Every signature is verified here, from the trust anchors down. The name servers only have to return the signatures.
    Validate,
}

/// Which servers are asked, and how.
pub(super) enum Asker {
    /// Without DNSSEC.
    Plain(TokioResolver),
    /// To name servers whose AD bit is believed.
    Trusting(Resolver<Stub>),
    /// With signatures, which are verified here.
    Validating(Box<Validating>),
}

/// A client that verifies signatures.
pub(super) struct Validating {
    client: CachingClient<Mended<RetryDnsHandle<NameServerPool<Stub>>>>,
    options: DnsRequestOptions,
    hosts: Hosts,
}

impl Asker {
    /// Asks the servers of `config`; `anchors` are for [`Dnssec::Validate`].
    pub(super) fn new(
        config: ResolverConfig,
        options: ResolverOpts,
        dnssec: Dnssec,
        anchors: TrustAnchors,
    ) -> Result<Self, NetError> {
        let stub = |role| Stub {
            tokio: TokioRuntimeProvider::default(),
            role,
        };
        Ok(match dnssec {
            Dnssec::Off => Self::Plain(
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
                    .with_options(options)
                    .build()?,
            ),
            Dnssec::Ad => Self::Trusting(
                Resolver::builder_with_config(config, stub(Role::Trusting))
                    .with_options(options)
                    .build()?,
            ),
            Dnssec::Validate => {
                let mut asked = DnsRequestOptions::default();
                asked.use_edns = true;
                asked.edns_payload_len = options.edns_payload_len;
                asked.edns_set_dnssec_ok = true;
                let attempts = options.attempts;
                let context = Arc::new(PoolContext::new(options, TlsConfig::new()?));
                let servers = config.name_servers().to_vec();
                let pool = NameServerPool::from_config(servers, context, stub(Role::Validating));
                let retrying = RetryDnsHandle::new(pool, attempts);
                let verifying = DnssecDnsHandle::with_trust_anchor(retrying, Arc::new(anchors))
                    .validation_cache_size(VERIFIED_MAX);
                Self::Validating(Box::new(Validating {
                    // We cache answers ourselves, with the aliases that lead to them.
                    client: CachingClient::new(0, Mended(verifying), true),
                    options: asked,
                    hosts: Hosts::from_system().unwrap_or_default(),
                }))
            }
        })
    }

    /// Looks up a name as it stands; `/etc/hosts` comes first.
    pub(super) async fn ask(&self, name: Name, kind: RecordType) -> Result<Lookup, NetError> {
        match self {
            Self::Plain(resolver) => resolver.lookup(name, kind).await,
            Self::Trusting(resolver) => resolver.lookup(name, kind).await,
            Self::Validating(validating) => {
                let query = Query::query(name, kind);
                match validating.hosts.lookup_static_host(&query) {
                    Some(found) => Ok(found),
                    None => validating.client.lookup(query, validating.options).await,
                }
            }
        }
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Trusting(_) => "Trusting",
            Self::Validating(_) => "Validating",
        })
    }
}

/// Makes connections that ask for DNSSEC data.
#[derive(Clone)]
pub(super) struct Stub {
    tokio: TokioRuntimeProvider,
    role: Role,
}

/// What a connection asks for.
#[derive(Clone, Copy)]
enum Role {
    /// The server's own verdict.
    Trusting,
    /// The signatures, whatever the server thinks of them (RFC 6840 section 5.9).
    Validating,
}

/// A connection to a name server.
#[derive(Clone)]
pub(super) struct StubConnection {
    inner: DnsExchange<TokioRuntimeProvider>,
    role: Role,
}

type Answers = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;

impl ConnectionProvider for Stub {
    type Conn = StubConnection;
    type FutureConn = Pin<Box<dyn Future<Output = Result<StubConnection, NetError>> + Send>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        cx: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let connecting = self.tokio.new_connection(ip, config, cx)?;
        let role = self.role;
        Ok(Box::pin(async move {
            Ok(StubConnection {
                inner: connecting.await?,
                role,
            })
        }))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.tokio
    }
}

impl DnsHandle for StubConnection {
    type Response = Answers;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, mut request: DnsRequest) -> Answers {
        match self.role {
            Role::Validating => {
                request.metadata.checking_disabled = true;
                Box::pin(self.inner.send(request).map_ok(|mut response| {
                    dname::to_signed_form(&mut response.answers);
                    response
                }))
            }
            Role::Trusting => Box::pin(stream::once(Box::pin(believe(self.inner.clone(), request)))),
        }
    }
}

/// Asks for the server's verdict and marks the records of its answer with it.
async fn believe(
    server: DnsExchange<TokioRuntimeProvider>,
    mut request: DnsRequest,
) -> Result<DnsResponse, NetError> {
    request.metadata.authentic_data = true;
    let mut response = server.send(request.clone()).first_answer().await?;
    if response.response_code == ResponseCode::ServFail {
        // A validating resolver answers SERVFAIL for bogus data and for much else. Asked without validation, it either has an
        // answer or not.
        request.metadata.checking_disabled = true;
        let unchecked = server.send(request).first_answer().await;
        let answers = unchecked.is_ok_and(|unchecked| {
            matches!(
                unchecked.response_code,
                ResponseCode::NoError | ResponseCode::NXDomain
            )
        });
        if answers {
            return Err(DnsError::DnssecBogus.into());
        }
        return Ok(response);
    }
    let verdict = if response.authentic_data {
        Verdict::Secure
    } else {
        Verdict::Insecure
    };
    let response_records = &mut *response;
    for record in response_records
        .answers
        .iter_mut()
        .chain(&mut response_records.authorities)
    {
        record.proof = verdict;
    }
    Ok(response)
}

/// The servers that are asked: those in the settings, or those of the system.
pub(super) fn asked(listed: &[SocketAddr]) -> Vec<SocketAddr> {
    let system = listed.is_empty().then(system::read);
    within_reach(system.as_ref().map_or(listed, |system| &system.servers))
}

/// The servers in the settings, or those of the system; and those of them that cannot be asked.
pub(super) fn servers(listed: &[SocketAddr]) -> (ResolverConfig, Vec<SocketAddr>) {
    let system = listed.is_empty().then(system::read);
    let tcp_only = system.as_ref().is_some_and(|system| system.tcp_only);
    let all = system.as_ref().map_or(listed, |system| &system.servers);
    let servers = within_reach(all);
    let server = |server: &SocketAddr| {
        let mut connections = vec![ConnectionConfig::tcp()];
        if !tcp_only {
            connections.insert(0, ConnectionConfig::udp());
        }
        for connection in &mut connections {
            connection.port = server.port();
        }
        NameServerConfig::new(server.ip(), true, connections)
    };
    let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
    (config, all.iter().copied().filter(is_on_a_link).collect())
}

fn is_on_a_link(server: &SocketAddr) -> bool {
    matches!(server, SocketAddr::V6(v6) if v6.scope_id() != 0)
}

/// The servers that hickory can ask: it cannot take the interface of a link-local address. If none is left, the one on this
/// machine.
fn within_reach(servers: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut within: Vec<SocketAddr> = servers
        .iter()
        .filter(|server| !is_on_a_link(server))
        .copied()
        .collect();
    if within.is_empty() && !servers.is_empty() {
        within.push((Ipv4Addr::LOCALHOST, 53).into());
    }
    within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_a_link_are_not_asked() {
        #[rustfmt::skip]
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("as listed",          &["192.0.2.1:53", "[2001:db8::1]:5353"], &["192.0.2.1:53", "[2001:db8::1]:5353"]),
            ("one on a link",      &["[fe80::1%3]:53", "192.0.2.1:53"],     &["192.0.2.1:53"]),
            ("no other",           &["[fe80::1%3]:53"],                     &["127.0.0.1:53"]),
            ("none",               &[],                                     &[]),
        ];
        let parsed =
            |texts: &[&str]| -> Vec<SocketAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        for (shows, servers, expected) in cases {
            assert_eq!(within_reach(&parsed(servers)), parsed(expected), "{shows}");
        }
    }
}
