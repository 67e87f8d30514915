//! What the loop waits for and what it notices, as sentences without their full stops.

use std::fmt;

use super::view::{Missing, Quorum};

/// A program that elects a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Consul.
    Consul,
    /// Nomad.
    Nomad,
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Consul => "Consul",
            Self::Nomad => "Nomad",
        })
    }
}

/// The first condition that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// The agent has just started.
    Starting,
    /// A program of this node did not answer as it should.
    Silent(Program, String),
    /// There is no leader, or too few servers for the first time.
    Quorum(Program, u32, Quorum),
    /// Consul does not know this node's token yet, or not any more.
    NotSetUp(String),
    /// Another server is setting the cluster up.
    SettingUp(String),
    /// The set-up does not get on.
    SetUp(String),
    /// The marker could not be read or written.
    Marker(String),
    /// The marker is not for this agent, and there is no job.
    Foreign(String),
    /// Another node is about to submit the job.
    Claimed(String),
    /// No server has submitted the job yet, and this node does not.
    NotSubmitted,
    /// Nomad did not take the job.
    Refused(String),
    /// The job has gone, and nobody stopped it.
    Lost,
    /// The same, and a server is to submit it again.
    LostElsewhere,
    /// The person stopped the job.
    Stopped,
    /// Marker and job changed whenever one of them was read.
    Busy,
    /// The job does not run.
    Job(String),
    /// Prometheus does not answer.
    Prometheus(String),
    /// Prometheus does not see all that it should.
    Targets(String),
}

impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => formatter.write_str("the agent has just started"),
            Self::Silent(program, why) => write!(formatter, "waiting for {program} on this node: {why}"),
            Self::Quorum(program, expect, quorum) => servers(formatter, *program, *expect, quorum),
            Self::NotSetUp(why) => write!(
                formatter,
                "waiting for a server to make this node's token in Consul: {why}; \
                 `hah-image flash --node` of one server repeats the set-up"
            ),
            Self::SettingUp(node) => write!(formatter, "waiting for {node}, which is setting the cluster up"),
            Self::SetUp(why) => write!(formatter, "the set-up of the closed cluster does not get on: {why}"),
            Self::Marker(why) => write!(formatter, "waiting for Consul's key-value store: {why}"),
            Self::Foreign(why) => write!(
                formatter,
                "the job is not submitted: this agent does not understand the marker in Consul: {why}; \
                 `consul kv delete hah/loop` lets the loop begin anew"
            ),
            Self::Claimed(node) => write!(formatter, "waiting for {node}, which is submitting the job"),
            Self::NotSubmitted => formatter.write_str("waiting for a Nomad server to submit the job"),
            Self::Refused(why) => write!(formatter, "Nomad does not take the job: {why}"),
            Self::Lost => formatter.write_str(
                "the job has gone from Nomad and nobody stopped it; it is not submitted again, since resubmit is `never`",
            ),
            Self::LostElsewhere => {
                formatter.write_str("the job has gone from Nomad; waiting for a Nomad server to submit it again")
            }
            Self::Stopped => formatter.write_str("the job was stopped by hand and stays stopped"),
            Self::Busy => formatter.write_str("waiting for other nodes, which are changing the job"),
            Self::Job(why) => write!(formatter, "waiting for the job: {why}"),
            Self::Prometheus(why) => write!(formatter, "waiting for Prometheus: {why}"),
            Self::Targets(why) => write!(formatter, "waiting for Prometheus to see everything: {why}"),
        }
    }
}

fn servers(formatter: &mut fmt::Formatter<'_>, program: Program, expect: u32, quorum: &Quorum) -> fmt::Result {
    let here = quorum.alive.unwrap_or(quorum.peers);
    if here < expect {
        write!(formatter, "waiting for {program}: {here} of {expect} servers are here")?;
    } else if quorum.leader {
        write!(formatter, "waiting for {program}: {} of {expect} servers vote", quorum.peers)?;
    } else {
        write!(formatter, "waiting for {program} to elect a leader among {here} servers")?;
    }
    for Missing { name, seen } in quorum.missing.iter().take(3) {
        match seen {
            Some(at) => write!(formatter, "; {name} has not been seen since {}", date(*at))?,
            None => write!(formatter, "; {name} has not been seen")?,
        }
    }
    match quorum.missing.len().saturating_sub(3) {
        0 => {}
        more => write!(formatter, "; and {more} more")?,
    }
    if !quorum.moved_from.is_empty() {
        let old: Vec<String> = quorum.moved_from.iter().map(ToString::to_string).collect();
        let old = old.join(", ");
        write!(
            formatter,
            "; every server here has another address than before, and {program} looks for them at {old}: \
             docs/how-to/renumber-servers.md says what helps"
        )?;
    }
    Ok(())
}

/// What a person should know beside the condition that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// The job differs from what the agents submitted.
    ChangedByHand,
    /// Nomad, or the person, has gone back to this version from that one.
    WentBack(String, String),
    /// The cluster runs a later version of the job than this image has.
    Newer(String),
    /// An update to this version is on its way.
    BeingUpdated(String),
    /// The marker is not for this agent; the job is there.
    Foreign(String),
    /// A sentence from a program.
    Seen(String),
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangedByHand => formatter
                .write_str("the job was changed by hand, so a newer version in a newer image will not replace it"),
            Self::WentBack(to, from) => {
                write!(formatter, "the job went back to version {to}, since version {from} did not do")
            }
            Self::Newer(version) => write!(
                formatter,
                "the cluster runs version {version} of the job, which replaced the one of this node's image"
            ),
            Self::BeingUpdated(version) => write!(formatter, "the job is being updated to version {version}"),
            Self::Foreign(why) => write!(formatter, "this agent does not understand the marker in Consul: {why}"),
            Self::Seen(text) => formatter.write_str(text),
        }
    }
}

/// Seconds since 1970 as `2026-11-25 10:32:07 UTC`.
pub(crate) fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March put the leap day last; an era is the 400 years after which the calendar repeats.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, wanted) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_602_727, "2026-11-25 10:32:07 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(seconds), wanted);
        }
        assert!(date(u64::MAX).ends_with("UTC"));
    }

    #[test]
    fn quorums() {
        let pi3 = Missing { name: "pi3-b".to_owned(), seen: Some(1_795_602_727) };
        let check = |leader, peers, alive, missing: &[Missing], wanted: &str| {
            let quorum = Quorum { leader, peers, alive, missing: missing.to_vec(), moved_from: Vec::new() };
            assert_eq!(Unmet::Quorum(Program::Nomad, 3, quorum).to_string(), wanted);
        };
        check(
            false,
            0,
            Some(2),
            &[pi3],
            "waiting for Nomad: 2 of 3 servers are here; pi3-b has not been seen since 2026-11-25 10:32:07 UTC",
        );
        check(false, 3, Some(3), &[], "waiting for Nomad to elect a leader among 3 servers");
        check(false, 0, None, &[], "waiting for Nomad: 0 of 3 servers are here");
        check(true, 1, Some(3), &[], "waiting for Nomad: 1 of 3 servers vote");
        let moved_from = vec!["10.77.0.1".parse().unwrap(), "10.77.0.2".parse().unwrap()];
        let moved = Quorum { peers: 3, alive: Some(3), moved_from, ..Quorum::default() };
        assert_eq!(
            Unmet::Quorum(Program::Nomad, 3, moved).to_string(),
            "waiting for Nomad to elect a leader among 3 servers; every server here has another address than before, \
             and Nomad looks for them at 10.77.0.1, 10.77.0.2: docs/how-to/renumber-servers.md says what helps"
        );
        let many: Vec<Missing> = (1..=5).map(|n| Missing { name: format!("pi{n}"), seen: None }).collect();
        check(
            false,
            5,
            Some(0),
            &many,
            "waiting for Nomad: 0 of 3 servers are here; pi1 has not been seen; pi2 has not been seen; \
             pi3 has not been seen; and 2 more",
        );
    }
}
