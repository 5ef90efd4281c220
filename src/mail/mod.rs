//! Emails: templates, messages, SMTP. The only lettre.
