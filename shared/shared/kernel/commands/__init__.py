"""Commands that run beside a service: `taawon serve`, `migrate`, `topology`, `dead-letters` …"""
