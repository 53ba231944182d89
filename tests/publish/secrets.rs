//! TLS with a verified name, and the password: who gets it, where it is read from, and that it is shown nowhere.

use crate::certificates::Authority;
use crate::compare::assert_same;
use crate::harness::{Mirror, account, skip, text};
use crate::postgres::{Database, Server, other_user};
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;

/// With a space, a quote and letters that are no ASCII.
const PASSWORD: &str = "Zeppelin 'ü' \\ 7";

/// An address of this machine that is not loopback: nothing is sent to it without TLS.
fn own_address() -> Option<IpAddr> {
    let used = || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let address = socket.connect("192.0.2.77:9").and_then(|()| socket.local_addr());
        address.ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
    };
    let address = used().or_else(|| {
        // A machine without a network: one of its own, if this user may give it one.
        let added =
            std::process::Command::new("ip").args(["addr", "add", "192.0.2.1/24", "dev", "lo"]).status();
        added.is_ok_and(|status| status.success()).then(used).flatten()
    });
    if address.is_none() {
        skip("this machine has no address but loopback");
    }
    address
}

/// A server that takes this password at that address, and certificates of this authority.
fn server(address: IpAddr) -> (&'static Server, Authority) {
    let lines = format!(
        "listen_addresses = '127.0.0.1,{address}'\nlog_connections = on\npassword_encryption = scram-sha-256"
    );
    let server: &'static Server = Box::leak(Box::new(Server::start(&lines)));
    let data = server.folder.join("data");
    for file in ["server.key", "server.crt"] {
        fs::write(data.join(file), "").unwrap();
        fs::set_permissions(data.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = other_user() {
            nix::unistd::chown(&data.join(file), Some(user.uid), Some(user.gid)).unwrap();
        }
    }
    let hba = fs::read_to_string(data.join("pg_hba.conf")).unwrap();
    fs::write(data.join("pg_hba.conf"), format!("host all all {address}/32 scram-sha-256\n{hba}")).unwrap();
    let authority = Authority::new();
    authority.sign(&format!("IP:{address}"), 2199, &data);
    server.psql("postgres", "ALTER SYSTEM SET ssl = on").unwrap();
    (server, authority)
}

fn reload(server: &Server) {
    let loaded = || server.psql("postgres", "SELECT pg_conf_load_time()").unwrap();
    let before = loaded();
    server.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    // Each session reads it for itself: a new one has it when the first process has.
    while loaded() == before {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn config(database: &Database, address: IpAddr, more: &str) -> String {
    let loopback = format!("@127.0.0.1:{}/", database.server.port);
    database.config().replace(&loopback, &format!("@{address}:{}/", database.server.port)) + more
}

#[test]
fn a_server_that_cannot_be_trusted_gets_no_password() {
    let (Some(_), Some(address)) = (Server::shared(), own_address()) else { return };
    let (server, authority) = server(address);
    let database = server.database();
    server
        .psql("postgres", &format!("ALTER ROLE talkmirror PASSWORD '{}'", PASSWORD.replace('\'', "''")))
        .unwrap();
    let data = server.folder.join("data");
    let mirror = Mirror::new(account(3));
    mirror.ends(0, &["sync", "1..3"]);
    mirror.write_secret("password", PASSWORD);
    let with_ca = |ca: &str| {
        config(
            &database,
            address,
            &format!("publish.password_file = \"password\"\npublish.ca_file = \"{ca}\"\n"),
        )
    };
    let own_ca = authority.certificate().display().to_string();
    let other = Authority::new();
    fs::write(mirror.path("empty.pem"), "").unwrap();
    let refused = |what: &str, ca: &str, words: &[&str]| {
        mirror.configure(&with_ca(ca));
        let (out, _) = mirror.ends(1, &["publish", "status"]);
        assert!(words.iter().all(|word| out.contains(word)), "{what}: {out}");
        let log = fs::read_to_string(server.folder.join("log")).unwrap();
        assert!(!log.contains("user=talkmirror"), "{what}: nobody introduced himself:\n{log}");
    };
    reload(server);
    let authority_of_server = "publish.ca_file must hold the certificate of the authority";
    refused(
        "another authority",
        &other.certificate().display().to_string(),
        &["BadSignature", authority_of_server],
    );
    refused("the system's authorities", "", &["UnknownIssuer", authority_of_server]);
    refused(
        "no authority",
        "empty.pem",
        &["no certificate is in it", "publish.ca_file must hold certificates in PEM"],
    );
    refused("no such file", "missing.pem", &["cannot read", "missing.pem", "publish.ca_file must hold"]);
    authority.sign("DNS:db.example.com", 2199, &data);
    reload(server);
    refused(
        "another name",
        &own_ca,
        &["not valid for name", "publish.server must name the host as its certificate does"],
    );
    authority.sign(&format!("IP:{address}"), 2020, &data);
    reload(server);
    refused("an old certificate", &own_ca, &["expired", "give the server a new certificate"]);
    server.psql("postgres", "ALTER SYSTEM SET ssl = off").unwrap();
    reload(server);
    refused("no TLS", &own_ca, &["does not support TLS", "switch TLS on at the server (ssl = on)"]);

    // The same by the daemon, and then all is repaired.
    let daemon = mirror.daemon();
    mirror.wait("the daemon refuses it, too", || {
        mirror
            .log()
            .lines()
            .any(|line| line.contains("nothing is published") && line.contains("switch TLS on"))
    });
    authority.sign(&format!("IP:{address}"), 2199, &data);
    server.psql("postgres", "ALTER SYSTEM SET ssl = on").unwrap();
    reload(server);
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    let sessions = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name = 'talkmirror'";
    assert_eq!(database.sql(sessions), "t");
    daemon.stop();
    server.stop("fast");
}

#[test]
fn the_password_comes_from_a_file_or_a_credential_and_is_shown_nowhere() {
    let (Some(_), Some(address)) = (Server::shared(), own_address()) else { return };
    let (server, authority) = server(address);
    reload(server);
    let database = server.database();
    server
        .psql("postgres", &format!("ALTER ROLE talkmirror PASSWORD '{}'", PASSWORD.replace('\'', "''")))
        .unwrap();
    let port = Mirror::free_port();
    let mirror = Mirror::new(account(3));
    let ca = format!(
        "publish.ca_file = \"{}\"\nlog.level = \"trace\"\nhttp.listen = \"127.0.0.1:{port}\"\n",
        authority.certificate().display()
    );
    mirror.ends(0, &["sync", "1..3"]);
    let with_file = |file: &str| {
        mirror.configure(&config(&database, address, &format!("{ca}publish.password_file = \"{file}\"\n")));
    };
    let status = || text(&mirror.output(&["publish", "status"]));
    with_file("password");
    let accepts = |what: &str, written: &str| {
        mirror.write_secret("password", written);
        let (out, err) = status();
        assert!(out.contains("schema     version"), "{what}: {out}{err}");
    };
    accepts("as it is", PASSWORD);
    accepts("with a line end", &format!("{PASSWORD}\n"));
    accepts("of Windows", &format!("{PASSWORD}\r\n"));
    let refused = |what: &str, words: &[&str]| {
        let (out, err) = status();
        assert!(words.iter().all(|word| out.contains(word)), "{what}: {out}{err}");
        assert!(!(out + &err).contains("Zeppelin"), "{what}");
    };
    for (what, written, words) in [
        (
            "another",
            "Zeppelin-wrong",
            &["SQLSTATE 28P01", "write the role's password into publish.password_file"][..],
        ),
        ("with a space", &format!("{PASSWORD} "), &["SQLSTATE 28P01"]),
        ("with two line ends", &format!("{PASSWORD}\n\n"), &["SQLSTATE 28P01"]),
        ("nothing", "", &["(it is empty): write the password there"]),
        ("a line end", "\n", &["(it is empty): write the password there"]),
    ] {
        mirror.write_secret("password", written);
        refused(what, words);
    }
    mirror.write_secret("password", PASSWORD);
    fs::set_permissions(mirror.path("password"), fs::Permissions::from_mode(0o644)).unwrap();
    refused("that others can read", &["a file that others can read: run `chmod 600"]);
    with_file("missing");
    refused("no such file", &["cannot read", "missing", "write the password there"]);
    with_file("");
    refused("none", &["password missing", "write the role's password into publish.password_file"]);

    let credentials = mirror.path("credentials");
    fs::create_dir(&credentials).unwrap();
    mirror.write_secret("credentials/publish-password", &format!("{PASSWORD}\n"));
    let daemon = mirror.start_in(&["run"], &[("CREDENTIALS_DIRECTORY", credentials.as_os_str())]);
    database.wait_until_published(&mirror);
    assert_same(&mirror, &database);
    let mut seen = vec![mirror.log(), mirror.get(port, "/").1, mirror.get(port, "/metrics").1];
    for what in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{what}", daemon.child.id())).unwrap();
        seen.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    // A wrong one is as secret.
    mirror.write_secret("credentials/publish-password", "Zeppelin-wrong\n");
    database.end_sessions();
    // Else the end of an idle session is found by the next sign of life.
    mirror.simulator.account().talk(1).updated_at += 1;
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait("it is refused", || mirror.log().contains("SQLSTATE 28P01"));
    for command in
        [&["publish", "status"][..], &["publish", "status", "--json"], &["check"], &["status", "--json"]]
    {
        let output = mirror.command(command).env("CREDENTIALS_DIRECTORY", &credentials).output().unwrap();
        let (out, err) = text(&output);
        seen.extend([out, err]);
    }
    seen.push(mirror.log());
    daemon.stop();
    for file in ["talks.db", "talks.db-wal", "daemon.log"] {
        seen.push(String::from_utf8_lossy(&fs::read(mirror.path(file)).unwrap_or_default()).into_owned());
    }
    for text in &seen {
        assert!(!text.contains("Zeppelin"), "{text}");
    }
    assert!(mirror.log().contains("DEBUG"), "all that can be logged was");
    server.stop("fast");
}
