//! An authority of the tests' own, with what it signs and takes back; the openssl program makes all of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::tls::Certificate;

/// An authority: its certificate, its key, and the book that `openssl ca` keeps.
#[derive(Debug)]
pub struct Authority {
    /// Its certificate and its key.
    pub own: Certificate,
    folder: PathBuf,
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Authority {
    /// A new one of this name, in a folder of its own.
    ///
    /// # Panics
    /// When openssl cannot make it.
    #[must_use]
    pub fn make(parent: &Path, name: &str) -> Self {
        let folder = parent.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("book"), "").unwrap();
        fs::write(folder.join("number"), "01\n").unwrap();
        fs::write(folder.join("serial"), "03A5B1\n").unwrap();
        let config = "[ca]\ndefault_ca = this\n[this]\ndir = .\ndatabase = book\nserial = serial\nnew_certs_dir = .\n\
             certificate = ca.pem\nprivate_key = ca.key\ndefault_md = sha256\ndefault_days = 30\n\
             default_crl_days = 30\npolicy = any\ncrlnumber = number\ncrl_extensions = list\nunique_subject = no\n[any]\ncountryName = optional\n\
             organizationName = optional\ncommonName = supplied\n[client]\nbasicConstraints = CA:FALSE\n\
             extendedKeyUsage = clientAuth\n[server]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth\n\
             [list]\nauthorityKeyIdentifier = keyid\n[authority]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = keyCertSign,cRLSign\n";
        fs::write(folder.join("ca.cnf"), config).unwrap();
        let subject = format!("/O=Tests/CN={name}");
        let mut request =
            vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        request.extend(["-days", "3650", "-subj", &subject, "-keyout", "ca.key", "-out", "ca.pem"]);
        request.extend(["-addext", "keyUsage=keyCertSign,cRLSign"]);
        openssl(&folder, &request);
        let own = Certificate { certificate: folder.join("ca.pem"), key: folder.join("ca.key") };
        Self { own, folder }
    }

    /// Signs a client's certificate for this subject, valid for 30 days.
    #[must_use]
    pub fn client(&self, file: &str, subject: &str) -> Certificate {
        self.sign(file, subject, "client", &[])
    }

    /// Signs one with these extensions (`client`, `server` or `authority`) and more arguments of `openssl ca`.
    #[must_use]
    pub fn sign(&self, file: &str, subject: &str, extensions: &str, more: &[&str]) -> Certificate {
        let [key, request, signed] = ["key", "csr", "pem"].map(|kind| format!("{file}.{kind}"));
        let mut asked =
            vec!["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        asked.extend(["-subj", subject, "-keyout", &key, "-out", &request]);
        openssl(&self.folder, &asked);
        let mut ca = vec!["ca", "-config", "ca.cnf", "-batch", "-notext", "-extensions", extensions];
        ca.extend(["-in", &request, "-out", &signed]);
        ca.extend(more);
        openssl(&self.folder, &ca);
        Certificate { certificate: self.folder.join(signed), key: self.folder.join(key) }
    }

    /// Takes a certificate back and gives the list of all that it has taken back.
    #[must_use]
    pub fn revoke(&self, certificate: &Certificate, file: &str) -> PathBuf {
        let path = certificate.certificate.to_str().unwrap();
        openssl(&self.folder, &["ca", "-config", "ca.cnf", "-batch", "-revoke", path]);
        self.list(file, &[])
    }

    /// The list of what it has taken back, with more arguments of `openssl ca`.
    #[must_use]
    pub fn list(&self, file: &str, more: &[&str]) -> PathBuf {
        let mut list = vec!["ca", "-config", "ca.cnf", "-batch", "-gencrl", "-out", file];
        list.extend(more);
        openssl(&self.folder, &list);
        self.folder.join(file)
    }

    /// Its block as a trust store.
    #[must_use]
    pub fn trust_store(&self, label: &str) -> String {
        let path = self.own.certificate.display();
        format!("trust_store \"{label}\" {{\n  ca_certificates_bundle_file = \"{path}\"\n}}\n")
    }
}
