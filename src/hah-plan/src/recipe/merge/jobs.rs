//! Nomad jobs, as files of the image.

use hah_format::path::TreePath;

use super::{Claim, Merge, Replace, Sameness, root_file};
use crate::nomad_job::{self, Api, Forms, JobError};
use crate::recipe::problem::Problem;
use crate::system::NomadJobSpec;

/// Nomad jobs go here.
const JOBS: &str = "usr/share/hah/jobs";

impl Merge<'_> {
    /// The forms of every job, as files. It comes after all files, which jobs may name.
    pub(super) fn nomad_job_files(&mut self) -> Vec<NomadJobSpec> {
        let mut jobs = Vec::new();
        for (name, claim) in std::mem::take(&mut self.nomad_jobs.by_name) {
            let (bytes, beside) = claim.value;
            let file = |path: &str| {
                if !path.starts_with('/') {
                    return beside.text(path);
                }
                let (_, bytes) = &self.files.by_name.get(&TreePath::parse(path).ok()?)?.value;
                String::from_utf8(bytes.clone()).ok()
            };
            let forms = match String::from_utf8(bytes) {
                Ok(text) => nomad_job::forms(&text, &file),
                Err(_) => Err(JobError { line: 1, message: "it is not UTF-8".to_owned(), hint: None }),
            };
            let Forms { hcl, api } = match forms {
                Ok(forms) => forms,
                Err(error) => {
                    self.report.at(&claim.place, Problem::NomadJob { name, error });
                    continue;
                }
            };
            let mut add = |form: &str, text: String| {
                let Ok(path) = TreePath::parse(&format!("{JOBS}/{name}.{form}")) else { return };
                let value = (root_file(), text.into_bytes());
                let claim = Claim { value, place: claim.place.clone(), author: claim.author.clone() };
                self.files.add(path, claim, (Replace::Refuse, Sameness::Conflicts), self.report);
            };
            add("nomad.hcl", hcl);
            let on_node = match api {
                Api::Json(json) => {
                    add("json", json);
                    None
                }
                Api::OnNode(reason) => Some(reason),
            };
            jobs.push(NomadJobSpec { name, on_node, recipe: claim.author });
        }
        jobs
    }
}
