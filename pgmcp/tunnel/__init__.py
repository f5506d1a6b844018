"""Reaches a database through a bastion, with the system's OpenSSH client.

    worker ──▶ loopback port ──▶ private socket ──▶ ssh ──▶ sshd ──▶ database
               └─────────────── `keeper` ───────────────┘

`tunnel` runs in the front, pgmcp's main process. It starts one `keeper` process per database, which runs ssh
and the loopback port, and ends with the front. A worker only gets the parameters of its connection.
`ssh_errors` explains the messages of ssh.

libpq uses no TLS on a UNIX socket, regardless of `sslmode`. Therefore workers connect to a loopback port with
the database's own name as `host` and the port's address as `hostaddr`: TLS then verifies the database's name.
On Linux the port accepts only connections of this user and of root. With `sslmode=disable`, workers connect
to the private socket.
"""
