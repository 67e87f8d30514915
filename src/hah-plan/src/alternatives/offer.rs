//! What an offer must be: names and absolute paths, not mixed up with those of other groups.

use super::{Registry, Stop};
use crate::effects::Alternative;

impl Registry<'_, '_> {
    /// The names and links of an offer: absolute, and not mixed up with those of other groups.
    pub(super) fn check(&mut self, offer: &Alternative) -> Result<(), Stop> {
        let refuse = |what: String| Err(Stop::Failed(what));
        check_name(&offer.name)?;
        check_link(&offer.link)?;
        check_path(&offer.path)?;
        let groups = self.load_all()?;
        let by_name = |name: &str| groups.iter().find(|group| group.name == name || group.follower(name).is_some());
        let by_link = |link: &str| {
            groups.iter().find(|group| group.link == link || group.followers.iter().any(|other| other.link == link))
        };
        if let Some(found) = by_name(&offer.name).filter(|found| found.name != *offer.name) {
            return refuse(format!("alternative {} cannot be master: it is a slave of {}", offer.name, found.name));
        }
        if let Some(found) = by_link(&offer.link).filter(|found| found.name != *offer.name) {
            return refuse(format!("alternative link {} is already managed by {}", offer.link, found.name));
        }
        if self.is_missing(&offer.path)? && !self.is_left_out(&offer.path) {
            return refuse(format!("alternative path {} does not exist", offer.path));
        }
        for slave in &offer.slaves {
            check_name(&slave.name)?;
            check_link(&slave.link)?;
            check_path(&slave.path)?;
            if let Some(found) = by_name(&slave.name).filter(|found| found.name != *offer.name) {
                let what = match found.name == *slave.name {
                    true => "it is a master alternative".to_owned(),
                    false => format!("it is a slave of {}", found.name),
                };
                return refuse(format!("alternative {} cannot be slave of {}: {what}", slave.name, offer.name));
            }
            let Some(found) = by_link(&slave.link) else { continue };
            if found.name != *offer.name {
                return refuse(format!("alternative link {} is already managed by {}", slave.link, found.name));
            }
            let other = found.followers.iter().find(|other| other.link == *slave.link);
            if let Some(other) = other.filter(|other| other.name != *slave.name) {
                return refuse(format!(
                    "alternative link {} is already managed by {} (slave of {})",
                    slave.link, other.name, found.name
                ));
            }
        }
        Ok(())
    }
}

/// A name must be one of a file.
pub(crate) fn check_name(name: &str) -> Result<(), Stop> {
    match name.contains(['/', ' ', '\t', '\n']) {
        true => Err(Stop::Failed(format!("alternative name ({name}) must not contain '/' and spaces"))),
        false => Ok(()),
    }
}

fn check_link(link: &str) -> Result<(), Stop> {
    match link.starts_with('/') && !link.contains('\n') {
        true => Ok(()),
        false => Err(Stop::Failed(format!("alternative link is not absolute as it should be: {link}"))),
    }
}

/// A choice must be an absolute path.
pub(crate) fn check_path(path: &str) -> Result<(), Stop> {
    match path.starts_with('/') && !path.contains('\n') {
        true => Ok(()),
        false => Err(Stop::Failed(format!("alternative path is not absolute as it should be: {path}"))),
    }
}
