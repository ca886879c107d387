"""The service's own database: connections, the kernel's tables, migrations, audit, notifications of commits."""
