//! Nothing is stuck: from every reachable state, each line can come to rest without a mishap and without a person.
