"""The service's own database: connections, the kernel's tables, migrations, audit, pg_notify."""
