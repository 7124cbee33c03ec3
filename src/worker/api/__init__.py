"""REST: one router per subject, errors as RFC 9457 problem documents."""
