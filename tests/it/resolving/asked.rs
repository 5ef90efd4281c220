//! How a person is asked, and what is wrong usage.

use super::in_doubt;
use crate::binary::provisor;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_without_a_yes_and_without_one_clear_word() {
    let house = in_doubt("drop").await;
    let env = house.environment(&[]);
    let before = house.all_of_it().await;
    let asked = house.sandbox.state().journal(0).len();
    let line = ["SHOP-1", "--line", "0"];
    for (verb, options, words) in [
        ("resolve", &["--absent"][..], "no terminal to ask on"),
        ("retry", &[], "no terminal to ask on"),
        ("resolve", &["--yes"], "required"),
        ("resolve", &["--yes", "--absent", "--abandon"], "cannot be used with"),
        ("resolve", &["--yes", "--upstream-order", "0"], "0"),
        ("resolve", &["--yes", "--site", "x"], "invalid"),
        ("retry", &["--yes", "--max-cost", "5,50"], "an amount such as 5.50"),
        ("retry", &["--yes", "--max-cost", "5.505"], "an amount such as 5.50"),
        ("retry", &["--yes", "--why", "a\nb"], "control character"),
        ("retry", &["--yes", "--by", ""], "1 to 64 characters"),
    ] {
        let args: Vec<&str> = ["order", verb].iter().chain(&line).chain(options).copied().collect();
        let ended = provisor(&args, &env).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{args:?}: {ended:?}");
    }
    assert_eq!(house.all_of_it().await, before);
    assert_eq!(house.sandbox.state().journal(0).len(), asked, "nothing is even asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_an_error_of_one_line() {
    let house = in_doubt("drop").await;
    for (reference, line, words) in [
        ("SHOP-404", "0", "provisor: there is no order SHOP-404\n"),
        (
            "SHOP-1",
            "1",
            "provisor: order SHOP-1 has no line 1: its lines are numbered from 0 to 0\n",
        ),
    ] {
        let args = ["order", "resolve", reference, "--line", line, "--abandon", "--yes"];
        let ended = provisor(&args, &house.environment(&[])).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), words));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_of_the_system_says_it_unless_a_name_is_given() {
    let house = in_doubt("drop").await;
    let mut env = house.environment(&[]);
    env.insert("LOGNAME".to_owned(), "carol".to_owned());
    let args = ["order", "resolve", "SHOP-1", "--line", "0", "--abandon", "--yes"];
    assert_eq!(provisor(&args, &env).await.code, Some(0));
    assert_eq!(house.details("SHOP-1", "resolved").await[0]["by"], "carol");
}
