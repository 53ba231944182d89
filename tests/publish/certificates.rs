//! Certificates for a server, from an authority that nobody else trusts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An authority, in a folder of its own.
pub struct Authority(TempDir);

const CONFIG: &str = "[ca]\ndefault_ca = test\n[test]\ndatabase = index.txt\nnew_certs_dir = .\nrand_serial = yes\n\
    certificate = ca.crt\nprivate_key = ca.key\ndefault_md = sha256\npolicy = any\ncopy_extensions = copy\n\
    unique_subject = no\n[any]\ncommonName = supplied\n";

impl Authority {
    pub fn new() -> Authority {
        let authority = Authority(tempfile::tempdir().unwrap());
        fs::write(authority.0.path().join("ca.cnf"), CONFIG).unwrap();
        fs::write(authority.0.path().join("index.txt"), "").unwrap();
        authority.openssl(&[
            "req", "-x509", "-days", "30", "-subj", "/CN=test", "-keyout", "ca.key", "-out", "ca.crt",
        ]);
        authority
    }

    fn openssl(&self, arguments: &[&str]) {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&self.0).args(arguments);
        if arguments[0] == "req" {
            openssl.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        }
        let output = openssl.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// For `publish.ca_file`.
    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("ca.crt")
    }

    /// Writes `server.key` and `server.crt` for a name such as `DNS:db1` or `IP:192.0.2.1`, until the end of this year.
    pub fn sign(&self, name: &str, ends_in: u32, folder: &Path) {
        let san = format!("subjectAltName={name}");
        self.openssl(&[
            "req",
            "-subj",
            "/CN=server",
            "-addext",
            &san,
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
        ]);
        let end = format!("{ends_in}1231235959Z");
        self.openssl(&[
            "ca",
            "-batch",
            "-config",
            "ca.cnf",
            "-notext",
            "-in",
            "server.csr",
            "-out",
            "server.crt",
            "-startdate",
            "20200101000000Z",
            "-enddate",
            &end,
        ]);
        for file in ["server.key", "server.crt"] {
            // Into the file that is there, which the server's user owns.
            fs::write(folder.join(file), fs::read(self.0.path().join(file)).unwrap()).unwrap();
        }
    }
}
