# For the scripts here: what to do if a check cannot run. With TALKMIRROR_STRICT it is a failure, as in
# tests/black_box/harness.rs.
skip() {
    if [ -n "${TALKMIRROR_STRICT:-}" ]; then
        echo "FAIL  cannot run, and TALKMIRROR_STRICT is set: $1"
        exit 1
    fi
    echo "skipped: $1"
}
