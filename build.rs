//! Has the migrations compiled in anew when their folder changes: of a new file cargo knows nothing.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
