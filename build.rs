//! Has the migrations compiled in anew when their folder changes, which cargo would not notice.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
