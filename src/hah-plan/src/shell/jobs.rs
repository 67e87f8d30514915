//! What a script has started with `&`, which has ended by the time that anybody looks.

use super::PROCESS_ID;

/// The statuses of finished jobs, in order of their start.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs(Vec<Option<u32>>);

impl Jobs {
    pub(super) fn add(&mut self, status: u32) {
        self.0.push(Some(status));
    }

    /// What `$!` says.
    pub(super) fn last_id(&self) -> Option<u32> {
        let count = u32::try_from(self.0.len()).ok().filter(|count| *count > 0)?;
        Some(PROCESS_ID + count)
    }

    /// The status of the job with this process id, which is told once.
    pub(super) fn wait_for(&mut self, id: u32) -> Option<u32> {
        let index = usize::try_from(id.checked_sub(PROCESS_ID + 1)?).ok()?;
        self.0.get_mut(index)?.take()
    }

    /// Forgets all statuses.
    pub(super) fn wait_for_all(&mut self) {
        self.0.fill(None);
    }
}
