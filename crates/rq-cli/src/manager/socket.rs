//! Where a Manager takes orders: a socket that its file, or the system's folders for such things, have a place for.
//!
//! Whoever asks may have another environment than the Manager, and so looks at all places.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};
use rq_core::Shown;
use sha2::{Digest, Sha256};

use crate::refusal::Refusal;

/// The folder of a service that systemd has started with `RuntimeDirectory=`.
const OF_SERVICE: &str = "RUNTIME_DIRECTORY";
/// The folder of a user's session.
const OF_SESSION: &str = "XDG_RUNTIME_DIR";
/// Our folder in that.
const OURS: &str = "rq";
/// The folder of the system's own, which somebody has made for us.
const OF_SYSTEM: &str = "/run/rq";
/// Who may look into a folder of ours: its owner alone.
const MODE: u32 = 0o700;
const MODE_MASK: u32 = 0o7777;
/// The longest path that the system takes for a socket.
const PATH_BYTES_MAX: usize = 107;
/// How much of a file's name is in that of its socket.
const STEM_BYTES_MAX: usize = 32;
/// How many bytes of a digest tell files apart.
const DIGEST_BYTES: usize = 4;

/// The folders that are looked at.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    service: Option<PathBuf>,
    session: Option<PathBuf>,
    system: PathBuf,
    /// That of all users' own folders.
    temporary: PathBuf,
}

impl Folders {
    /// Those of this process.
    pub(crate) fn of_environment() -> Folders {
        let folder = |name| {
            let value = std::env::var_os(name)?;
            // A service may have several: the first one is as good as any.
            let first = value.as_bytes().split(|byte| *byte == b':').next()?.to_owned();
            let path = PathBuf::from(std::ffi::OsString::from(std::ffi::OsStr::from_bytes(&first)));
            path.is_absolute().then_some(path)
        };
        Folders {
            service: folder(OF_SERVICE),
            session: folder(OF_SESSION),
            system: PathBuf::from(OF_SYSTEM),
            temporary: std::env::temp_dir(),
        }
    }

    fn of_user(&self) -> PathBuf {
        self.temporary.join(format!("{OURS}-{}", geteuid()))
    }

    /// Where the Manager of `file` listens: in the first folder that it may write to.
    pub(crate) fn place(&self, file: &Path) -> Result<PathBuf, Refusal> {
        let name = socket_name(file)?;
        let service = self.service.clone().filter(|folder| is_writable(folder));
        let session = || {
            let folder = self.session.as_ref().filter(|folder| is_writable(folder))?.join(OURS);
            made(&folder).ok().map(|()| folder)
        };
        let system = || Some(self.system.clone()).filter(|folder| is_writable(folder));
        let folder = match service.or_else(session).or_else(system) {
            Some(folder) => folder,
            None => {
                let folder = self.of_user();
                made(&folder).map_err(|error| unusable(&folder, &error))?;
                folder
            }
        };
        checked(folder.join(name))
    }

    /// Where the Manager of `file` may listen, if it does.
    pub(crate) fn places(&self, file: &Path) -> Result<Vec<PathBuf>, Refusal> {
        let name = socket_name(file)?;
        let session = self.session.as_ref().map(|folder| folder.join(OURS));
        let folders = [self.service.clone(), session, Some(self.system.clone())].into_iter().flatten();
        let of_user = Some(self.of_user()).filter(|folder| is_private(folder));
        Ok(folders.chain(of_user).map(|folder| folder.join(&name)).collect())
    }
}

/// A path that the system takes for a socket.
pub(crate) fn checked(path: PathBuf) -> Result<PathBuf, Refusal> {
    match path.as_os_str().len() {
        ..=PATH_BYTES_MAX => Ok(path),
        _ => Err(Refusal::Failed(format!(
            "the path {} is too long for a socket, which takes {PATH_BYTES_MAX} bytes; name a shorter one: [manager] socket",
            Shown::name(path.display())
        ))),
    }
}

/// The name of the socket of a file: the same for whoever names that file, in whatever way.
fn socket_name(file: &Path) -> Result<String, Refusal> {
    let path = file.canonicalize().map_err(|error| {
        Refusal::Failed(format!("{} cannot be found: {error}", Shown::name(file.display())))
    })?;
    let digest = Sha256::digest(path.as_os_str().as_bytes());
    let digest: String = digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem.chars().filter(is_plain).take(STEM_BYTES_MAX).collect();
    Ok(format!("manager-{stem}-{digest}.sock"))
}

fn is_writable(folder: &Path) -> bool {
    folder.is_dir() && access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Makes a folder that nobody else may look into, where there is none.
fn made(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ if is_private(folder) => Ok(()),
        _ => Err(io::Error::other("it is another user's, or others may look into it")),
    }
}

/// Whether it is a folder of our own, which nobody else may look into. A link is none.
fn is_private(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|metadata| {
        metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & MODE_MASK == MODE
    })
}

fn unusable(folder: &Path, error: &io::Error) -> Refusal {
    Refusal::Failed(format!(
        "there is no place for the socket by which a Manager takes orders: {} cannot be used: {error}. Name one: [manager] \
         socket",
        Shown::name(folder.display())
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder that is gone when this is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("rq-socket-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("rq.toml"), "").unwrap();
            Folder(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("rq.toml")
        }

        fn folders(&self) -> Folders {
            let temporary = self.0.clone();
            Folders { service: None, session: None, system: self.0.join("nowhere"), temporary }
        }

        fn of_user(&self) -> PathBuf {
            self.folders().of_user()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_first_folder_that_can_be_used_has_it() {
        let here = Folder::new("first");
        let (service, session) = (here.0.join("service"), here.0.join("session"));
        let folders =
            Folders { service: Some(service.clone()), session: Some(session.clone()), ..here.folders() };
        let place = || folders.place(&here.file()).unwrap();
        assert_eq!(place().parent().unwrap(), here.of_user());
        fs::create_dir(&session).unwrap();
        assert_eq!(place().parent().unwrap(), session.join("rq"));
        assert!(is_private(&session.join("rq")) && is_private(&here.of_user()));
        fs::create_dir(&service).unwrap();
        assert_eq!(place().parent().unwrap(), service);
        // Who asks finds it wherever it is.
        let places = folders.places(&here.file()).unwrap();
        let places: Vec<&Path> = places.iter().filter_map(|place| place.parent()).collect();
        assert_eq!(places, [&service, &session.join("rq"), &here.0.join("nowhere"), &here.of_user()]);
    }

    #[test]
    fn a_folder_that_others_may_look_into_is_refused() {
        let here = Folder::new("refused");
        fs::create_dir(here.of_user()).unwrap();
        fs::set_permissions(here.of_user(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(here.folders().place(&here.file()), Err(Refusal::Failed(_))));
        // And nobody is asked there, who might be anybody.
        assert_eq!(here.folders().places(&here.file()).unwrap().len(), 1);
        fs::remove_dir(here.of_user()).unwrap();
        std::os::unix::fs::symlink(&here.0, here.of_user()).unwrap();
        assert!(matches!(here.folders().place(&here.file()), Err(Refusal::Failed(_))));
    }

    #[test]
    fn files_are_told_apart_by_their_paths() {
        let (one, other) = (Folder::new("one"), Folder::new("other"));
        let name = socket_name(&one.file()).unwrap();
        assert!(name.starts_with("manager-rq-") && name.len() == "manager-rq-01234567.sock".len(), "{name}");
        assert_ne!(name, socket_name(&other.file()).unwrap());
        assert_eq!(name, socket_name(&one.0.join(".").join("rq.toml")).unwrap());
        assert!(socket_name(&one.0.join("nosuch.toml")).is_err());
        assert!(checked(PathBuf::from("/".to_owned() + &"x".repeat(107))).is_err());
    }
}
