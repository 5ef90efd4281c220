//! The queue engine: claim, watermark, lease, fence, group commit, schedule. It knows no order words.
