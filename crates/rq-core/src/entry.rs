//! [`Entry`]: one entry of a registry.

use crate::execution::ExecutionId;
use crate::registry_kind::RegistryKind;
use crate::time::Timestamp;

/// One entry of a registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The job. Its record may be gone: entries outlive records.
    pub job_id: String,
    /// Which run, in [`RegistryKind::Started`].
    pub execution: Option<ExecutionId>,
    /// What the entry is sorted by: seconds since 1970, infinite or negative for never.
    pub score: f64,
}

impl Entry {
    pub(crate) fn read(kind: RegistryKind, member: &str, score: f64) -> Entry {
        let execution = match kind {
            RegistryKind::Started => ExecutionId::parse(member),
            _ => None,
        };
        let job_id = execution.as_ref().map_or(member, ExecutionId::job_id).to_owned();
        Entry { job_id, execution, score }
    }

    /// The moment that the registry sorts it by, see [`RegistryKind`]; `None` for never.
    pub fn moment(&self) -> Option<Timestamp> {
        (self.score.is_finite() && self.score >= 0.0).then(|| Timestamp::from_epoch_seconds(self.score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_their_registry_writes_them() {
        let run = Entry::read(RegistryKind::Started, "j:0d2d", 5.0);
        assert_eq!((run.job_id.as_str(), run.execution.as_ref().map(ExecutionId::x)), ("j", Some("0d2d")));
        // Before RQ 2.0.
        assert_eq!(Entry::read(RegistryKind::Started, "j", 5.0).job_id, "j");
        let odd = Entry::read(RegistryKind::Failed, "j:0d2d", 5.0);
        assert_eq!((odd.job_id.as_str(), odd.execution), ("j:0d2d", None));
    }

    #[test]
    fn what_never_comes_has_no_moment() {
        let moment = |score| Entry::read(RegistryKind::Failed, "j", score).moment();
        assert_eq!(moment(5.0), Some(Timestamp::from_epoch_us(5_000_000)));
        assert_eq!((moment(f64::INFINITY), moment(-1.0)), (None, None));
    }
}
