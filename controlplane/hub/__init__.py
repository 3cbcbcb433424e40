"""Live connections: sockets in and out, one file per conversation. Only this folder awaits one."""
