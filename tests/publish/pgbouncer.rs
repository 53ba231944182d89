//! A PgBouncer in transaction mode before a server. It ends with this process.

use crate::harness::{Mirror, skip};
use crate::postgres::{Database, Server, other_folder, run_beside};
use std::fs;
use std::path::{Path, PathBuf};

/// A PgBouncer in a folder of its own.
pub struct Pooler {
    port: u16,
    pub pid: u32,
}

impl Pooler {
    /// With so many connections to the server for each database. `None` if PgBouncer is not installed.
    pub fn start(server: &Server, pool_size: usize) -> Option<Pooler> {
        let program = Path::new("/usr/sbin/pgbouncer");
        if !program.exists() {
            skip("PgBouncer is not installed (Debian's package pgbouncer)");
            return None;
        }
        let (folder, port) = (other_folder(), Mirror::free_port());
        fs::write(folder.join("users"), "\"talkmirror\" \"\"\n").unwrap();
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {pool_size}\nmax_client_conn = 1000\n",
            server.port,
            folder.join("users").display()
        );
        fs::write(folder.join("pgbouncer.ini"), config).unwrap();
        let pid = run_beside(program, &[PathBuf::from("-q"), folder.join("pgbouncer.ini")], &folder);
        Some(Pooler { port, pid })
    }

    /// For `publish.server`.
    pub fn address(&self, database: &Database) -> String {
        format!("postgresql://talkmirror@127.0.0.1:{}/{}", self.port, database.name)
    }
}
