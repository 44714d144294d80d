//! The key file: read it if it is safe to trust, make it if there is none.
//! Owns the permissions; must not know what secrets are used for.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use super::{
    Keyring, MAX_SECRETS, SECRET_LEN,
    fault::{KeyFileFault, KeyringError},
};
use crate::safe_file::{self, Folder, Outlook, Owner};

/// Turns an I/O error into a fault that says what was tried.
fn tried(action: &'static str) -> impl Fn(io::Error) -> KeyFileFault {
    move |error| KeyFileFault::Io { action, error }
}

impl Keyring {
    /// The ring of the file at `path`. Where there is none, one with a single new secret is made, readable
    /// by its owner only (a directory that is missing likewise); of several processes that start at once, all
    /// get the same secret. The file becomes `owner`'s, if there is one: who reads it again later.
    ///
    /// # Errors
    /// When the file cannot be read or made, is no regular file, may be read or written by others than its
    /// owner, or is not 1 to 8 times 32 bytes long; when others can change the folder it is to be made in.
    pub fn load_or_create(path: &Path, owner: Option<Owner>) -> Result<Self, KeyringError> {
        load(path, owner)
            .and_then(|found| match found {
                Some(ring) => Ok(ring),
                None => {
                    if create(path, owner)? {
                        tracing::info!(
                            file = %path.display(),
                            "a key file was made anew: cookies of other secrets count as absent from now on"
                        );
                    }
                    load(path, owner)?.ok_or(KeyFileFault::Dangling)
                }
            })
            .map_err(|fault| KeyringError::File { path: path.to_path_buf(), fault })
    }

    /// The ring of the file at `path`; none when there is no file.
    ///
    /// # Errors
    /// As for [`Self::load_or_create`].
    pub fn load(path: &Path) -> Result<Option<Self>, KeyringError> {
        load(path, None).map_err(|fault| KeyringError::File { path: path.to_path_buf(), fault })
    }

    /// The secrets of the file at `path` themselves, 1 to 8 of 32 bytes one after the other; none when there is no file.
    ///
    /// # Errors
    /// As for [`Self::load_or_create`].
    pub fn secrets(path: &Path) -> Result<Option<Vec<u8>>, KeyringError> {
        let found =
            examine(path, None).map_err(|fault| KeyringError::File { path: path.to_path_buf(), fault })?;
        Ok(found.map(|(secrets, _)| secrets))
    }

    /// Looks whether [`Self::load_or_create`] would be refused; makes nothing and gives nothing away. The folder that the
    /// file would be made in, if there is none.
    ///
    /// # Errors
    /// As for [`Self::load_or_create`].
    pub fn look(path: &Path, owner: Option<Owner>) -> Result<Option<Outlook>, KeyringError> {
        look(path, owner).map_err(|fault| KeyringError::File { path: path.to_path_buf(), fault })
    }
}

fn look(path: &Path, owner: Option<Owner>) -> Result<Option<Outlook>, KeyFileFault> {
    if let Some((_, file)) = examine(path, owner)? {
        if let Some(owner) = owner {
            safe_file::could_give(path, &file, owner).map_err(tried("cannot give it to the user"))?;
        }
        return Ok(None);
    }
    let folder = Outlook::of(folder_of(path)).map_err(tried("cannot make its directory"))?;
    folder.demand_private(owner).map_err(tried("cannot make it"))?;
    if folder.found().is_some_and(|folder| folder.has_link(path.file_name().unwrap_or_default())) {
        return Err(KeyFileFault::Dangling);
    }
    folder.demand_writable().map_err(tried("cannot make it"))?;
    Ok(Some(folder))
}

/// The ring of an existing file, which is then `owner`'s; `None` when there is no file.
fn load(path: &Path, owner: Option<Owner>) -> Result<Option<Keyring>, KeyFileFault> {
    let Some((secrets, file)) = examine(path, owner)? else { return Ok(None) };
    let ring = Keyring::from_bytes(&secrets).map_err(|_| KeyFileFault::Size(secrets.len()))?;
    // Last: what is no key file may be somebody's.
    if let Some(owner) = owner {
        safe_file::give(path, &file, owner).map_err(tried("cannot give it to the user"))?;
    }
    Ok(Some(ring))
}

/// The secrets of an existing file, and the file.
fn examine(path: &Path, owner: Option<Owner>) -> Result<Option<(Vec<u8>, File)>, KeyFileFault> {
    // Not waiting: a named pipe in the file's place must not hang the start.
    let Some(file) = safe_file::read(path, owner).map_err(tried("cannot open"))? else { return Ok(None) };
    let metadata = file.metadata().map_err(tried("cannot examine"))?;
    if !metadata.is_file() {
        return Err(KeyFileFault::NotAFile);
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o066 != 0 {
        return Err(KeyFileFault::Open { mode, path: path.to_path_buf() });
    }
    let too_many = SECRET_LEN * MAX_SECRETS + 1;
    let mut bytes = Vec::with_capacity(too_many);
    (&file).take(too_many as u64).read_to_end(&mut bytes).map_err(tried("cannot read"))?;
    if bytes.len() == too_many {
        return Err(KeyFileFault::Size(usize::try_from(metadata.len()).unwrap_or(usize::MAX)));
    }
    if bytes.is_empty() || bytes.len() % SECRET_LEN != 0 {
        return Err(KeyFileFault::Size(bytes.len()));
    }
    if let Some(index) = bytes.chunks_exact(SECRET_LEN).position(is_guessable) {
        return Err(KeyFileFault::Guessable(index + 1));
    }
    Ok(Some((bytes, file)))
}

/// Fewest different bytes of a secret. Of 32 random bytes 30 differ; those of 32 random hexadecimal digits are 14, and
/// fewer than 8 no sooner than the keys of two balancers are the same by chance.
const FEWEST_BYTES: usize = 8;

/// Whether a secret is what a blank disk, a default or somebody's fingers make: few different bytes, a short piece over
/// and over, or steps of one size.
fn is_guessable(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    secret.iter().for_each(|&byte| {
        if let Some(seen) = seen.get_mut(usize::from(byte)) {
            *seen = true;
        }
    });
    let different = seen.iter().filter(|seen| **seen).count();
    let repeats =
        |period: usize| secret.iter().zip(secret.iter().skip(period)).all(|(one, other)| one == other);
    let mut steps = secret.iter().zip(secret.iter().skip(1)).map(|(one, next)| next.wrapping_sub(*one));
    let first = steps.next();
    different < FEWEST_BYTES || (1..=SECRET_LEN / 2).any(repeats) || steps.all(|step| Some(step) == first)
}

/// Makes the file with one new secret for `owner`, whole or not at all; leaves one that somebody else made meanwhile.
/// A folder that others can change gets none: they would know the secret, or choose it. False: something has its name.
fn create(path: &Path, owner: Option<Owner>) -> Result<bool, KeyFileFault> {
    let (folder, made) = Folder::make(folder_of(path), 0o700).map_err(tried("cannot make its directory"))?;
    folder.demand_private(owner).map_err(tried("cannot make it"))?;
    let random = |bytes: &mut [u8]| crate::random::fill(bytes).map_err(tried("cannot get random bytes"));
    let mut secret = [0; SECRET_LEN];
    random(&mut secret)?;
    let mut label = [0; 8];
    random(&mut label)?;
    let draft = format!(".new-keys-{:016x}", u64::from_le_bytes(label));
    let written = write_new(&folder, &draft, &secret, owner)
        .and_then(|()| folder.rename_new(&draft, path.file_name().unwrap_or_default()));
    if written.is_err() {
        let _ = folder.remove(&draft);
    }
    let is_new = match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        result => result.map(|()| true).map_err(tried("cannot make it"))?,
    };
    if let Some(owner) = owner.filter(|_| made) {
        folder.give(owner).map_err(tried("cannot give its directory to the user"))?;
    }
    folder.sync().map_err(tried("cannot sync its directory"))?;
    Ok(is_new)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_new(folder: &Folder, name: &str, secret: &[u8], owner: Option<Owner>) -> io::Result<()> {
    let mut file = folder.create_new(name)?;
    file.write_all(secret)?;
    if let Some(Owner { uid, gid }) = owner {
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt as _};

    use super::*;
    use crate::model::Endpoint;

    fn fingerprint(ring: &Keyring) -> u64 {
        ring.target_id("g", &Endpoint::Unix("/s".into())).0
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_missing_file_is_made_for_its_owner_alone_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/deep/keys");
        let made = Keyring::load_or_create(&path, None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read(&path).unwrap().len(), 32);
        assert_eq!(fingerprint(&made), fingerprint(&Keyring::load_or_create(&path, None).unwrap()));
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "no draft stays behind");
        let other = Keyring::load_or_create(&folder.path().join("other"), None).unwrap();
        assert_ne!(fingerprint(&made), fingerprint(&other));
    }

    #[test]
    fn what_is_no_key_file_is_not_given_away() {
        if rustix::process::geteuid().as_raw() != 0 {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.key");
        let random: Vec<u8> = (0..64).map(|index: u8| index.wrapping_mul(167) ^ (index >> 1)).collect();
        let owner = Some(Owner { uid: 65534, gid: 65534 });
        let zeros = [0; 32];
        for bytes in [&b""[..], &random[..31], &[7; 1704], &zeros[..]] {
            fs::write(&path, bytes).unwrap();
            set_mode(&path, 0o600);
            assert!(Keyring::load_or_create(&path, owner).is_err());
            assert_eq!(fs::metadata(&path).unwrap().uid(), 0, "{} bytes", bytes.len());
        }
        fs::write(&path, &random).unwrap();
        Keyring::load_or_create(&path, owner).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().uid(), 65534);
    }

    #[test]
    fn processes_that_start_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let prints: Vec<_> = std::thread::scope(|scope| {
            let start = || scope.spawn(|| fingerprint(&Keyring::load_or_create(&path, None).unwrap()));
            let started: Vec<_> = (0..8).map(|_| start()).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(prints.windows(2).all(|pair| pair[0] == pair[1]), "{prints:?}");
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, b"Wz1\xFFq8Lm,.x7\x00rT5)bQ2e~Kp9^vC3(n6").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o666] {
            set_mode(&path, mode);
            let error = Keyring::load_or_create(&path, None).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
            assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
        for mode in [0o600, 0o400, 0o700] {
            set_mode(&path, mode);
            Keyring::load_or_create(&path, None).unwrap();
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let good = fs::read({
            Keyring::load_or_create(&path, None).unwrap();
            &path
        })
        .unwrap();
        let counting: Vec<u8> = (0..32).collect();
        let backwards: Vec<u8> = (0..32).map(|at| 250 - 3 * at).collect();
        let weak: [&[u8]; 8] = [
            &[0; 32],
            &[255; 32],
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
            b"passwordpasswordpasswordpassword",
            b"0123456789abcdef0123456789abcdef",
            b"changemechangemechangemechangeme",
            &counting,
            &backwards,
        ];
        for secret in weak {
            for (bytes, index) in [(secret.to_vec(), 1), ([&good, secret].concat(), 2)] {
                fs::write(&path, &bytes).unwrap();
                let error = Keyring::load_or_create(&path, None).unwrap_err().to_string();
                assert!(error.contains(&format!("keys: secret {index} of it is not random")), "{error}");
                assert!(Keyring::load(&path).is_err(), "nor by a reload");
                assert_eq!(fs::read(&path).unwrap(), bytes, "the file is left alone");
            }
        }
        // What `openssl rand -hex 16` writes, without its line feed.
        fs::write(&path, b"9f86d081884c7d659a2feaa0c55ad015").unwrap();
        Keyring::load_or_create(&path, None).unwrap();
        for _ in 0..10_000 {
            let mut secret = [0; SECRET_LEN];
            crate::random::fill(&mut secret).unwrap();
            assert!(!is_guessable(&secret), "{secret:?}");
        }
    }

    #[test]
    fn a_file_of_the_wrong_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        for length in [0, 31, 33, 257, 288, 100_000] {
            fs::write(&path, vec![5; length]).unwrap();
            set_mode(&path, 0o600);
            let error = Keyring::load_or_create(&path, None).unwrap_err().to_string();
            assert!(error.contains(&format!(": {length} bytes are no keys")), "{error}");
            assert_eq!(fs::metadata(&path).unwrap().len(), length as u64, "the file is left alone");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for path in [folder.path(), &pipe, Path::new("/dev/null")] {
            let error = Keyring::load_or_create(path, None).unwrap_err();
            assert!(error.to_string().ends_with("not a regular file"), "{error}");
        }
    }

    #[test]
    fn what_could_not_be_made_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let told = |path: &Path| {
            let known = Keyring::look(path, None).err().map(|error| error.to_string());
            let found = Keyring::load_or_create(path, None).err().map(|error| error.to_string());
            assert_eq!(known, found, "{}", path.display());
            known.unwrap_or_default()
        };
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        assert!(
            told(&folder.path().join("link")).ends_with("/link: it is a symbolic link that leads nowhere")
        );
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        set_mode(&open, 0o777);
        assert!(told(&open.join("keys")).contains("can be changed by others"));
        assert!(told(&open.join("deeper/keys")).contains("can be changed by others"));
        set_mode(&open, 0o1777);
        assert!(told(&open.join("keys")).contains("can be changed by others"));
        assert_eq!(told(&open.join("own/keys")), "");
        assert_eq!(told(&folder.path().join("a/b/keys")), "");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let error = Keyring::load_or_create(Path::new("/dev/null/keys"), None).unwrap_err();
        assert!(error.to_string().starts_with("key file /dev/null/keys: cannot open"), "{error}");
        let error = Keyring::load_or_create(Path::new("/proc/no/such/keys"), None).unwrap_err();
        assert!(error.to_string().contains("cannot make its directory"), "{error}");
    }
}
