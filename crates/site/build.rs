//! Makes sure that the folder of the built front-end exists, so that the crate compiles before `npm run build` has
//! ever run; the pages then say so at their top. A new build of the front-end rebuilds the crate.

use std::{env, fs, path::Path};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let dist = Path::new(&root).join("../../web/dist");
    if let Err(error) = fs::create_dir_all(&dist) {
        println!("cargo::error=cannot create {}: {error}", dist.display());
    }
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=messages");
    println!("cargo::rerun-if-changed=templates");
}
