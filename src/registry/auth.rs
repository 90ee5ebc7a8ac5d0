//! Answers to a registry's challenge: the password itself (Basic), or a token
//! from the registry's token service (Bearer, distribution's token
//! specification), with the password, an identity token, or as anybody.

use super::challenge::{Challenge, choose};
use super::failure::{Failure, shown};
use super::target::{check, may_have_password};
use super::wire::{Call, Wire, read_all};
use crate::config::Credential;
use crate::error::{Error, Kind};
use base64::Engine as _;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};

/// The most that a token service may answer, in bytes.
const MAX_TOKEN_ANSWER: u64 = 1 << 20;
/// Who we are to token services.
const CLIENT_ID: &str = "wherry";

/// The login of one source and what it has got for it so far.
pub struct Auth {
    credential: Credential,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    header: Option<HeaderValue>,
    /// What the token service gave for later logins.
    identity: Option<String>,
    /// Counts the headers made: tells a stale one from the newest.
    generation: u64,
}

#[derive(Default, Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
}

/// What a token service gave.
struct Grant {
    token: String,
    identity: Option<String>,
}

/// What a request goes out with.
#[derive(Clone, Default)]
pub struct Pass {
    pub header: Option<HeaderValue>,
    generation: u64,
}

impl Auth {
    pub fn new(credential: Credential) -> Self {
        Self {
            credential,
            state: Mutex::default(),
        }
    }

    pub fn pass(&self) -> Pass {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Pass {
            header: state.header.clone(),
            generation: state.generation,
        }
    }

    /// The identity token that came with the answer to a login.
    pub fn identity(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.identity.clone()
    }

    /// Gets a better pass than `used` after the registry refused that one.
    /// `None`: there is none. One thread asks, the others take its result. No
    /// scope is a login.
    pub fn renew(
        &self,
        used: &Pass,
        headers: &HeaderMap,
        wire: &Wire,
        registry: &Url,
        scope: &str,
    ) -> Result<Option<Pass>, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation == used.generation {
            let challenges = headers.get_all(WWW_AUTHENTICATE);
            let header = match choose(challenges.iter().filter_map(|v| v.to_str().ok())) {
                Some(Challenge::Basic) => self.basic(used)?,
                Some(Challenge::Bearer { realm, service }) => {
                    let asked = TokenRequest {
                        wire,
                        registry,
                        realm,
                        service,
                        scope,
                    };
                    let grant = self.token(asked)?;
                    state.identity = grant.identity;
                    Some(bearer(&grant.token)?)
                }
                None => None,
            };
            let Some(header) = header else {
                return Ok(None);
            };
            state.header = Some(header);
            state.generation += 1;
        }
        Ok(Some(Pass {
            header: state.header.clone(),
            generation: state.generation,
        }))
    }

    fn basic(&self, used: &Pass) -> Result<Option<HeaderValue>, Failure> {
        match &self.credential {
            Credential::Password { username, password } => {
                let header = basic(username, password)?;
                // The same password will not be right the second time.
                Ok((used.header.as_ref() != Some(&header)).then_some(header))
            }
            Credential::IdentityToken(_) => Err(Error::new(
                Kind::Denied,
                "the registry wants a password, but the stored login is an identity token",
            )
            .into()),
            Credential::Anonymous => {
                Err(Error::new(Kind::Denied, "no basic auth credentials").into())
            }
        }
    }

    fn token(&self, asked: TokenRequest) -> Result<Grant, Failure> {
        let realm = Url::parse(&asked.realm)
            .map_err(|_| Error::invalid("the registry names no valid token service"))?;
        check(asked.registry, &realm, "token service")?;
        let secret = self.credential != Credential::Anonymous;
        if secret && !may_have_password(asked.registry, &realm) {
            return Err(Error::new(
                Kind::Denied,
                format!(
                    "the registry {} wants your password sent to {}, which is not its own host; refused",
                    asked.registry.host_str().unwrap_or_default(),
                    realm.host_str().unwrap_or_default()
                ),
            )
            .hint("pull without a stored login, or use the registry under the token service's domain")
            .into());
        }
        match &self.credential {
            Credential::IdentityToken(token) => asked.refresh(realm, token),
            Credential::Password { username, password } => {
                asked.get(realm, Some(basic(username, password)?), Some(username))
            }
            Credential::Anonymous => asked.get(realm, None, None),
        }
    }
}

struct TokenRequest<'a> {
    wire: &'a Wire,
    registry: &'a Url,
    realm: String,
    service: Option<String>,
    scope: &'a str,
}

impl TokenRequest<'_> {
    fn get(
        &self,
        mut realm: Url,
        authorization: Option<HeaderValue>,
        account: Option<&String>,
    ) -> Result<Grant, Failure> {
        {
            let mut query = realm.query_pairs_mut();
            if let Some(account) = account {
                query.append_pair("account", account);
            }
            match self.scope {
                // An identity token is welcome instead of the password.
                "" => query
                    .append_pair("offline_token", "true")
                    .append_pair("client_id", CLIENT_ID),
                scopes => {
                    for scope in scopes.split(' ') {
                        query.append_pair("scope", scope);
                    }
                    &mut query
                }
            };
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
        }
        let call = Call {
            authorization,
            ..Call::get(realm)
        };
        self.send(&call)
    }

    fn refresh(&self, realm: Url, token: &str) -> Result<Grant, Failure> {
        let service = self.service.as_deref().unwrap_or_default();
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT_ID),
            ("service", service),
        ];
        if !self.scope.is_empty() {
            form.push(("scope", self.scope));
        }
        form.push(("refresh_token", token));
        let call = Call {
            method: Method::POST,
            form: &form,
            ..Call::get(realm)
        };
        self.send(&call)
    }

    fn send(&self, call: &Call) -> Result<Grant, Failure> {
        let reply = self.wire.send(self.registry, call)?;
        let status = reply.response.status();
        let retry_after = super::session::wait_of(reply.response.headers());
        let url = reply.url.clone();
        let body = read_all(reply, MAX_TOKEN_ANSWER, self.wire.patience(), "token")?;
        if !status.is_success() {
            let mut failure = Failure::status(status, retry_after, &body);
            failure.error = failure
                .error
                .within(format!("token service \"{}\"", shown(&url)));
            return Err(failure);
        }
        let present = |text: Option<String>| text.filter(|t| !t.is_empty());
        let answer: TokenAnswer = serde_json::from_slice(&body).unwrap_or_default();
        let token = present(answer.token).or(present(answer.access_token));
        let token = token.ok_or_else(|| {
            Error::unavailable(format!("token service \"{}\" gave no token", shown(&url)))
        })?;
        Ok(Grant {
            token,
            identity: present(answer.refresh_token),
        })
    }
}

fn basic(username: &str, password: &str) -> Result<HeaderValue, Failure> {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    secret_header(&format!("Basic {text}"))
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    secret_header(&format!("Bearer {token}"))
}

fn secret_header(text: &str) -> Result<HeaderValue, Failure> {
    let mut header = HeaderValue::from_str(text).map_err(|_| {
        Error::invalid("a token or password has characters that no header can carry")
    })?;
    header.set_sensitive(true);
    Ok(header)
}
