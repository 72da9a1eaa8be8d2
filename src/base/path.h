/* Where programs stand: on the host that is asked for them, and in the sandbox, which shows them. */
#ifndef QL_BASE_PATH_H
#define QL_BASE_PATH_H

#define QL_PROGRAM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#endif
