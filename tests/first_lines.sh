#!/bin/sh
# Install the wheel into an empty environment, and run the first Python block of the README there.
set -eu
python=${1:-python3}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$root/constraints.txt" "$root"/dist/*.whl
sed -n '/^```python$/,/^```$/p' "$root/README.md" | sed -n '2,/^```$/p' | sed '$d' >"$work/first.py"
cd "$work"
PYTHONPATH='' "$work/venv/bin/python" -W error first.py
version=$("$work/venv/bin/vaekit" --version)
newest=$(sed -n 's/^## \([0-9.]*\).*/vaekit \1/p' "$root/CHANGELOG.md" | head -n 1)
[ "$version" = "$newest" ] || { echo "The wheel is $version, but the newest entry of CHANGELOG.md is $newest." >&2; exit 1; }
echo "$version: the wheel installs, and the first lines of the README run."
