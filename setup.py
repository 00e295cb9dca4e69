"""What hubrepo needs to run; tool settings live in pyproject.toml."""

from pathlib import Path

from setuptools import find_namespace_packages, setup

HERE = Path(__file__).parent

REQUIRES = [
    "pyramid~=2.1",
    "waitress~=3.0",
    "WebOb~=1.8.11",
    "plaster-pastedeploy~=1.0",
    "SQLAlchemy~=2.1.9",
    "zope.sqlalchemy~=4.1",
    "transaction~=5.1",
    "pyramid-tm~=2.6",
    "pyramid-retry~=2.1",
    "alembic~=1.20",
    "fs~=2.4.16",
    # Pyramid 2.1 and fs import pkg_resources, which setuptools 82 dropped.
    "setuptools>=78.1.1,<82",
    "multipart~=2.0",
    "orjson~=3.13",
    "argon2-cffi~=25.1",
    "cachetools>=6.2,<9",
    "click~=8.1",
    "limits~=5.8",
    "prometheus-client~=0.22",
    "Jinja2~=3.1",
]

POSTGRES = ["psycopg[binary]~=3.3"]
S3 = ["boto3~=1.44"]

TESTS = [
    *S3,
    # Since 9.2 pytest-xdist 3.8 does not keep groups of tests together: no server would be shared.
    "pytest>=9.0,<9.2",
    "pytest-xdist~=3.8",
    "WebTest~=3.0.7",
    "hypothesis~=6.150",
    "selenium~=4.40",
    # An S3 server on this machine; its extra `server` would bring much more.
    "moto[s3]~=5.2",
    "flask~=3.1",
    "flask-cors>=5,<7",
    "schemathesis~=4.32",
    "jsonschema-rs>=0.40,<1",
    # Fuzzing needs its wheel, which not every machine and Python has.
    'atheris~=3.0; sys_platform == "linux" and platform_machine == "x86_64" and python_version < "3.14"',
    *POSTGRES,
]

CHECKS = [
    "ruff~=0.17.0",
    "mypy~=2.4",
    "import-linter~=2.5",
]

setup(
    name="hubrepo",
    version="0.1.0",
    description="A server that keeps a team's packages, pages and files.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    # Folders of migrations are read by Alembic from their path and have no `__init__.py`.
    packages=find_namespace_packages(include=["hubrepo", "hubrepo.*"], exclude=["*.__pycache__"]),
    include_package_data=True,
    zip_safe=False,
    install_requires=REQUIRES,
    extras_require={
        "postgres": POSTGRES,
        "s3": S3,
        "tests": TESTS,
        "dev": TESTS + CHECKS,
    },
    entry_points={
        "fs.opener": ["s3 = hubrepo.kernel.blobs.stores.s3_filesystem:S3Opener"],
        "paste.app_factory": ["main = hubrepo:main"],
        "paste.server_runner": ["main = hubrepo.server:serve"],
        "console_scripts": [
            "hubrepo = hubrepo.cli:program",
            # The reference's names for the two commands that scripts call.
            "bootstrap_org = hubrepo.cli:bootstrap_org",
            "issue_api_key = hubrepo.cli:issue_api_key",
        ],
    },
)
