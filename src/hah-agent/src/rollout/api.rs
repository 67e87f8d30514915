//! The machine's questions to the cluster, as HTTP requests to the node's own agents.
//!
//! | question | requests |
//! |---|---|
//! | Board | Consul's `/v1/kv/hah/rollout/?recurse&consistent` |
//! | Cluster | Consul's `/v1/agent/self`, `/v1/status/*`, `/v1/agent/members`, `/v1/operator/autopilot/health`, `/v1/agent/checks`, `/v1/agent/services`; Nomad's `/v1/agent/self`, `/v1/agent/health`, `/v1/status/*`, `/v1/agent/members`, `/v1/operator/autopilot/health`, `/v1/node/ID`; Prometheus' targets |
//! | Lock, Advance, Unlock | `PUT` and `DELETE /v1/kv/hah/rollout/lock?cas=N` |
//! | Wish, Unwish | `PUT` and `DELETE /v1/kv/hah/rollout/want/NODE` |
//! | Publish | `PUT /v1/txn`: the bad generation and the stop key, both or none |
//! | Drain, Eligible | `PUT /v1/node/ID/drain` |
//! | Maintenance | `PUT /v1/agent/maintenance` |
//! | Transfer | `POST` Consul's `/v1/operator/raft/transfer-leader` (from 1.14), `PUT` Nomad's `…/transfer-leadership` |

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hah_node::closing;
use hah_node::generation::Digest;
use hah_node::rollout::{BAD, Bad, LOCK_KEY, Lock, MARK, PREFIX, STOP_KEY, WISHES};
use hyper::Method;
use serde::Serialize;
use serde_json::json;

use super::machine::{Effect, Reply};
use super::reply::{self, Myself};
use super::view::{Board, Cluster, Maintenance, Placing, Servers};
use crate::closing::api::{Api, Why, good, said};
use crate::closing::http::{Answer, segment};
use crate::closing::judge;
use crate::closing::reply as answers;

/// How long Nomad may take to move work elsewhere, before it stops it: in nanoseconds, as its API wants it.
const DRAIN_WITHIN: u64 = 300 * 1_000_000_000;
/// For all requests of one question.
const WITHIN: Duration = Duration::from_secs(40);

/// The programs around this agent.
pub(crate) struct Programs {
    api: Api,
    node: String,
    has_nomad: bool,
    prometheus: closing::Prometheus,
    hurry: u32,
}

/// An answer, or nothing where the token does not allow it.
fn allowed(answer: Answer) -> Result<Option<Vec<u8>>, Why> {
    match answer.status {
        401 | 403 => Ok(None),
        _ => good(answer).map(Some),
    }
}

impl Programs {
    /// Those that the loop's configuration names.
    pub(crate) fn new(api: Api, config: &closing::Loop, node: &str, hurry: u32) -> Self {
        let (node, prometheus) = (node.to_owned(), config.prometheus.clone());
        Self { api, node, has_nomad: config.nomad.is_some(), prometheus, hurry }
    }

    async fn within<T>(&self, question: impl Future<Output = Result<T, Why>>) -> Result<T, String> {
        let answered = tokio::time::timeout(WITHIN / self.hurry, question).await;
        answered.unwrap_or_else(|_| Err(Why("the answers took too long".to_owned()))).map_err(|why| why.0)
    }

    /// Everything of the rollout in Consul's KV.
    pub(crate) async fn board(&self) -> Result<Board, String> {
        self.within(async {
            let answer = self.api.get_consul(&format!("/v1/kv/{PREFIX}?recurse&consistent")).await?;
            match answer.status {
                404 => Ok(Board::default()),
                _ => Ok(reply::board(&good(answer)?)?),
            }
        })
        .await
    }

    /// Whether this node's Vault answers at all.
    pub(crate) async fn vault_answers(&self) -> bool {
        self.within(self.api.vault_answers()).await.unwrap_or(false)
    }

    /// The cluster, and this node's part in it.
    pub(crate) async fn cluster(&self) -> Result<Cluster, String> {
        self.within(self.look()).await
    }

    async fn look(&self) -> Result<Cluster, Why> {
        let own = reply::myself(&good(self.api.get_consul("/v1/agent/self").await?)?)?;
        let members = self.api.members().await?;
        let me = members.iter().find(|member| member.name == self.node);
        let consul = self.consul_servers(&members).await?;
        let maintenance = match self.api.get_consul("/v1/agent/checks").await.and_then(good) {
            Ok(body) => reply::maintenance(&body)?,
            Err(why) => Maintenance::Unknown(why.0),
        };
        let (nomad, nomad_self) = match self.has_nomad {
            true => self.nomad().await,
            false => (None, Ok(Myself::default())),
        };
        let nomad_well = self.has_nomad && self.nomad_is_well().await;
        let placing = match &nomad_self {
            Ok(nomad_self) => self.placing(nomad_self).await,
            Err(why) => Placing::Unknown(why.clone()),
        };
        let nomad_raft = nomad_self.ok().and_then(|own| own.raft);
        let (unseen, targets) = self.targets(&members).await;
        Ok(Cluster {
            consul,
            nomad,
            server: own.raft.is_some() || nomad_raft.is_some(),
            alive: members.iter().filter(|member| member.alive).map(|member| member.name.clone()).collect(),
            member: me.is_some_and(|me| me.alive),
            consul_raft: own.raft,
            nomad_raft,
            nomad_well,
            placing,
            maintenance,
            targets,
            unseen,
        })
    }

    async fn consul_servers(&self, members: &[answers::Member]) -> Result<Servers, Why> {
        let leader = answers::leader(&good(self.api.get_consul("/v1/status/leader").await?)?)?;
        let voters = answers::peers(&good(self.api.get_consul("/v1/status/peers").await?)?)?.len() as u32;
        let health = self.api.get_consul("/v1/operator/autopilot/health").await?;
        let missing = members.iter().filter(|member| member.server && !member.alive);
        Ok(Servers {
            leader,
            voters,
            missing: missing.map(|member| member.name.clone()).collect(),
            tolerance: tolerance(health),
        })
    }

    /// Nomad's servers, and what its agent says of itself.
    async fn nomad(&self) -> (Option<Servers>, Result<Myself, String>) {
        let myself = async {
            match allowed(self.api.get_nomad("/v1/agent/self").await?)? {
                // Without a token that may, this agent drains nothing either.
                None => Ok(Myself::default()),
                Some(body) => Ok::<Myself, Why>(reply::myself(&body)?),
            }
        };
        let servers = async {
            let leader = self.api.get_nomad("/v1/status/leader?stale").await?;
            let leader = leader.status == 200 && answers::leader(&leader.body)?;
            let peers = self.api.get_nomad("/v1/status/peers?stale").await?;
            let voters = if peers.status == 200 { answers::peers(&peers.body)?.len() as u32 } else { 0 };
            let members = allowed(self.api.get_nomad("/v1/agent/members").await?)?;
            let members = members.map(|body| answers::nomad_members(&body)).transpose()?.unwrap_or_default();
            let missing = members.into_iter().filter(|member| !member.alive).map(|member| member.name).collect();
            let tolerance = tolerance(self.api.get_nomad("/v1/operator/autopilot/health").await?);
            Ok::<Servers, Why>(Servers { leader, voters, missing, tolerance })
        };
        // One that cannot be asked has no leader that counts.
        (Some(servers.await.unwrap_or_default()), myself.await.map_err(|why| why.0))
    }

    async fn nomad_is_well(&self) -> bool {
        let answer = self.api.get_nomad("/v1/agent/health").await;
        answer.is_ok_and(|answer| answer.status == 200 && reply::well(&answer.body).unwrap_or(false))
    }

    async fn placing(&self, own: &Myself) -> Placing {
        let Some(client) = &own.client else { return Placing::NotOurs };
        let asked = async {
            let answer = self.api.get_nomad(&format!("/v1/node/{}", segment(client))).await?;
            match allowed(answer)? {
                None => Ok(Placing::NotOurs),
                Some(body) => Ok::<Placing, Why>(reply::placing(&body)?),
            }
        };
        asked.await.unwrap_or_else(|why| Placing::Unknown(why.0))
    }

    /// What Prometheus does not see as it should, and the scrape jobs of which a target on this node is up.
    async fn targets(&self, members: &[answers::Member]) -> (Option<String>, std::collections::BTreeSet<String>) {
        let (found, addresses) = self.api.find_prometheus().await;
        let mut why = match found {
            Ok(()) if addresses.is_empty() => format!("Consul knows no service {}", self.prometheus.service),
            Ok(()) => "it does not answer".to_owned(),
            Err(why) => why.0,
        };
        for address in addresses {
            match self.api.targets(address).await {
                Ok(targets) => {
                    let services = self.api.get_consul("/v1/agent/services").await.and_then(good);
                    let placed = services.ok().and_then(|body| reply::placed(&body).ok()).unwrap_or_default();
                    let me = members.iter().find(|member| member.name == self.node);
                    let own = targets.iter().filter(|target| {
                        target.up
                            && target.job != self.prometheus.service
                            && !placed.contains(&target.job)
                            && !self.prometheus.beside.contains(&target.job)
                            && me.is_some_and(|me| judge::is_on(target, me))
                    });
                    let own = own.map(|target| target.job.clone()).collect();
                    let judged = judge::targets(&self.prometheus, address.to_string(), &targets, members);
                    return (judged.waits, own);
                }
                Err(error) => why = error.0,
            }
        }
        (Some(why), std::collections::BTreeSet::new())
    }

    /// Does what concerns the cluster; the rest is the node's own.
    pub(crate) async fn perform(&self, effect: &Effect) -> Reply {
        let done = self.within(async {
            match effect {
                Effect::Lock(lock) => self.write_lock(0, lock).await,
                Effect::Advance(cas, lock) => self.write_lock(*cas, lock).await,
                Effect::Unlock(cas) => {
                    let path = format!("/v1/kv/{LOCK_KEY}?cas={cas}");
                    Ok(Reply::Written(answers::written(&good(self.delete(&path).await?)?)?))
                }
                Effect::Wish(wish) => self.put_key(&self.wish_key(), wish).await,
                Effect::Unwish => {
                    good(self.delete(&format!("/v1/kv/{}", self.wish_key())).await?)?;
                    Ok(Reply::Done)
                }
                Effect::Publish(generation, bad) => self.publish(*generation, bad).await,
                Effect::Drain => {
                    let spec = json!({ "Deadline": DRAIN_WITHIN, "IgnoreSystemJobs": true });
                    self.drain(&json!({ "DrainSpec": spec, "MarkEligible": false, "Meta": { "message": MARK } })).await
                }
                Effect::Eligible => {
                    self.drain(&json!({ "DrainSpec": null, "MarkEligible": true, "Meta": { "message": MARK } })).await
                }
                Effect::MaintenanceOn => self.maintain(&format!("enable=true&reason={}", segment(MARK))).await,
                Effect::MaintenanceOff => self.maintain("enable=false").await,
                Effect::Transfer => self.transfer().await,
                Effect::Begin(_)
                | Effect::End
                | Effect::Try(_)
                | Effect::Commit(_)
                | Effect::RollBack(..)
                | Effect::Condemn(..) => Err(Why("that is the node's own".to_owned())),
            }
        });
        done.await.unwrap_or_else(Reply::Failed)
    }

    fn wish_key(&self) -> String {
        format!("{WISHES}{}", segment(&self.node))
    }

    async fn delete(&self, path: &str) -> Result<Answer, Why> {
        self.api.call_consul(Method::DELETE, path, Vec::new()).await
    }

    async fn put_key(&self, key: &str, value: &impl Serialize) -> Result<Reply, Why> {
        let body = serde_json::to_vec(value).map_err(|error| Why(error.to_string()))?;
        match answers::written(&good(self.api.put_consul(&format!("/v1/kv/{key}"), body).await?)?)? {
            true => Ok(Reply::Done),
            false => Err(Why("Consul did not take it".to_owned())),
        }
    }

    async fn write_lock(&self, cas: u64, lock: &Lock) -> Result<Reply, Why> {
        let body = serde_json::to_vec(lock).map_err(|error| Why(error.to_string()))?;
        let path = format!("/v1/kv/{LOCK_KEY}?cas={cas}");
        Ok(Reply::Written(answers::written(&good(self.api.put_consul(&path, body).await?)?)?))
    }

    async fn publish(&self, generation: Digest, bad: &Bad) -> Result<Reply, Why> {
        let bad = Bad { reason: judge::shortened(&bad.reason), ..bad.clone() };
        let value = serde_json::to_vec(&bad).map_err(|error| Why(error.to_string()))?;
        let stop = format!("generation {} did not last on {}: {}", generation.short(), bad.node, bad.reason);
        let set =
            |key: &str, value: &[u8]| json!({ "KV": { "Verb": "set", "Key": key, "Value": STANDARD.encode(value) } });
        let body = json!([set(&format!("{BAD}{generation}"), &value), set(STOP_KEY, stop.as_bytes())]);
        good(self.api.put_consul("/v1/txn", body.to_string().into_bytes()).await?)?;
        Ok(Reply::Done)
    }

    async fn drain(&self, body: &serde_json::Value) -> Result<Reply, Why> {
        let own = reply::myself(&good(self.api.get_nomad("/v1/agent/self").await?)?)?;
        let Some(client) = own.client else { return Err(Why("this node is no client of Nomad".to_owned())) };
        let path = format!("/v1/node/{}/drain", segment(&client));
        let to = self.api.nomad_address()?;
        good(self.api.call(to, Method::PUT, &path, body.to_string().into_bytes()).await?)?;
        Ok(Reply::Done)
    }

    async fn maintain(&self, query: &str) -> Result<Reply, Why> {
        good(self.api.put_consul(&format!("/v1/agent/maintenance?{query}"), Vec::new()).await?)?;
        Ok(Reply::Done)
    }

    /// Hands over what this node leads. Where a program cannot, or does not let this agent, it elects when the node goes.
    async fn transfer(&self) -> Result<Reply, Why> {
        let own = reply::myself(&good(self.api.get_consul("/v1/agent/self").await?)?)?;
        if own.raft.is_some_and(|raft| raft.leads) {
            let path = "/v1/operator/raft/transfer-leader";
            let answer = self.api.call_consul(Method::POST, path, Vec::new()).await?;
            if answer.status != 200 {
                return Err(Why(format!("Consul: {}", said(&answer))));
            }
        }
        if !self.has_nomad {
            return Ok(Reply::Done);
        }
        let own = reply::myself(&good(self.api.get_nomad("/v1/agent/self").await?)?)?;
        if own.raft.is_some_and(|raft| raft.leads) {
            let configuration = good(self.api.get_nomad("/v1/operator/raft/configuration").await?)?;
            let Some(other) = reply::another_voter(&configuration)? else { return Ok(Reply::Done) };
            let path = format!("/v1/operator/raft/transfer-leadership?id={}", segment(&other));
            good(self.api.call(self.api.nomad_address()?, Method::PUT, &path, Vec::new()).await?)?;
        }
        Ok(Reply::Done)
    }
}

/// How many servers may fail; nothing where the token does not allow the question, or nobody can answer it.
fn tolerance(answer: Answer) -> Option<u32> {
    // 429 is an answer like any other: a server is not healthy.
    matches!(answer.status, 200 | 429).then(|| reply::tolerance(&answer.body).ok()).flatten()
}
