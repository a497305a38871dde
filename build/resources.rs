//! The resources of the Windows program: icon, version, manifest, and the texts of its events.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Who publishes the program, as Windows shows it.
const PUBLISHER: &str = "udp-proxy authors";
const ICON: &str = "windows/udp-proxy.ico";

/// Compiles the resources and has the program linked with them. The texts of events 1 to `events` are what the
/// service says, and nothing else.
pub fn link(events: u32) {
    println!("cargo:rerun-if-changed={ICON}");
    let out = PathBuf::from(var("OUT_DIR"));
    if var("CARGO_CFG_TARGET_ENV") != "gnu" {
        println!("cargo:warning=no icon, version and event texts: they are made for the windows-gnu targets");
        return;
    }
    write(&out.join("events.bin"), &message_table(1..=events));
    write(&out.join("udp-proxy.manifest"), MANIFEST.as_bytes());
    let icon = Path::new(&var("CARGO_MANIFEST_DIR")).join(ICON);
    fs::copy(&icon, out.join("udp-proxy.ico")).unwrap_or_else(|e| panic!("{}: {e}", icon.display()));
    write(&out.join("udp-proxy.rc"), script().as_bytes());
    compile(&out);
    println!("cargo:rustc-link-arg-bins={}", out.join("udp-proxy.res.o").display());
}

/// With the windres of the cross compiler, or on Windows that of its own.
fn compile(out: &Path) {
    println!("cargo:rerun-if-env-changed=WINDRES");
    let (arch, format) = match var("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86" => ("i686", "pe-i386"),
        _ => ("x86_64", "pe-x86-64"),
    };
    let candidates = [env::var("WINDRES").ok(), Some(format!("{arch}-w64-mingw32-windres")), Some("windres".into())];
    for program in candidates.into_iter().flatten() {
        let windres = Command::new(&program)
            .current_dir(out)
            .args(["-F", format, "-O", "coff", "-i", "udp-proxy.rc", "-o", "udp-proxy.res.o"])
            .output();
        match windres {
            Ok(done) if done.status.success() => return,
            Ok(done) => panic!("{program}: {}", String::from_utf8_lossy(&done.stderr)),
            Err(_) => {}
        }
    }
    panic!("no windres: install mingw-w64's binutils (Debian: gcc-mingw-w64-*-win32), or name it in WINDRES");
}

/// As `messagecompiler` would: one block of ids, each with the text `%1`.
fn message_table(ids: std::ops::RangeInclusive<u32>) -> Vec<u8> {
    const UNICODE: u16 = 1;
    let text: Vec<u8> = "%1\r\n\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = (4 + text.len()).next_multiple_of(4);
    let header = [1, *ids.start(), *ids.end(), 16];
    let mut table: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
    for _ in ids {
        let end = table.len() + length;
        table.extend((length as u16).to_le_bytes());
        table.extend(UNICODE.to_le_bytes());
        table.extend(&text);
        table.resize(end, 0);
    }
    table
}

fn script() -> String {
    let version = var("CARGO_PKG_VERSION");
    let part = |name: &str| var(&format!("CARGO_PKG_VERSION_{name}"));
    let numbers = format!("{},{},{},0", part("MAJOR"), part("MINOR"), part("PATCH"));
    let strings = [
        ("CompanyName", PUBLISHER),
        ("FileDescription", "udp-proxy"),
        ("FileVersion", &version),
        ("InternalName", "udp-proxy"),
        ("LegalCopyright", &var("CARGO_PKG_LICENSE")),
        ("OriginalFilename", "udp-proxy.exe"),
        ("ProductName", "udp-proxy"),
        ("ProductVersion", &version),
    ];
    // 11 is a message table, 24 a manifest; 0x40004 is Windows NT, 0x1 a program, 0x0409/0x04b0 English in UTF-16.
    let mut script = format!(
        "1 ICON \"udp-proxy.ico\"\n1 11 \"events.bin\"\n1 24 \"udp-proxy.manifest\"\n\
         1 VERSIONINFO\nFILEVERSION {numbers}\nPRODUCTVERSION {numbers}\nFILEOS 0x40004\nFILETYPE 0x1\n\
         BEGIN\nBLOCK \"StringFileInfo\"\nBEGIN\nBLOCK \"040904b0\"\nBEGIN\n"
    );
    for (name, value) in strings {
        writeln!(script, "VALUE \"{name}\", \"{value}\"").expect("a String takes it");
    }
    script.push_str("END\nEND\nBLOCK \"VarFileInfo\"\nBEGIN\nVALUE \"Translation\", 0x0409, 0x04b0\nEND\nEND\n");
    script
}

/// Asks for no rights of its own. Without it 32-bit Windows would redirect what it may not write.
const MANIFEST: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">
  <trustInfo xmlns="urn:schemas-microsoft-com:asm.v3"><security><requestedPrivileges>
    <requestedExecutionLevel level="asInvoker" uiAccess="false"/>
  </requestedPrivileges></security></trustInfo>
</assembly>
"#;

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
