#include "base/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct ql_signer {
	EVP_PKEY *key;
	unsigned char public[QL_SIGN_KEY];
};

static EVP_PKEY *
key_new(void)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
	if (ctx && EVP_PKEY_keygen_init(ctx) == 1)
		EVP_PKEY_keygen(ctx, &key);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static int
write_pem(int fd, EVP_PKEY *key)
{
	FILE *file = fdopen(fd, "w");
	if (!file) {
		close(fd);
		return -1;
	}
	bool ok = PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		  !fflush(file) && !fsync(fd);
	return fclose(file) || !ok ? -1 : 0;
}

/* Under another name first, so that no half of a key is ever found under its own. */
static int
make_key(const char *path, struct ql_err *e)
{
	char fresh[PATH_MAX];
	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return ql_fail(e, QL_E_USAGE, "couldn't make the signing key: its path is long");
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return ql_fail_sys(e, "couldn't make the signing key %s", path);
	EVP_PKEY *key = key_new();
	int status = key ? write_pem(fd, key) : close(fd) | -1;
	EVP_PKEY_free(key);
	if (status || rename(fresh, path))
		return ql_fail_sys(e, "couldn't make the signing key %s", path);
	return 0;
}

static EVP_PKEY *
read_key(FILE *file, unsigned char ret_public[static QL_SIGN_KEY])
{
	size_t len = QL_SIGN_KEY;
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	bool ok = key && EVP_PKEY_base_id(key) == EVP_PKEY_ED25519 &&
		  EVP_PKEY_get_raw_public_key(key, ret_public, &len) == 1 && len == QL_SIGN_KEY;
	if (ok)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

/* Who reads it can sign as this server does. */
static int
check_mode(int fd, const char *path, struct ql_err *e)
{
	struct stat st;
	if (fstat(fd, &st))
		return ql_fail_sys(e, "couldn't look at the signing key %s", path);
	if (st.st_mode & 077)
		return ql_fail(e, QL_E_USAGE,
			"the signing key %s can be read by others (mode %03o): chmod 600 it", path,
			st.st_mode & 0777);
	return 0;
}

static int
load(const char *path, struct ql_signer *signer, struct ql_err *e)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return ql_fail_sys(e, "couldn't read the signing key %s", path);
	int status = check_mode(fileno(file), path, e);
	if (!status && !(signer->key = read_key(file, signer->public)))
		status = ql_fail(e, QL_E_USAGE,
			"%s holds no Ed25519 private key in PEM: put the old one back, or move it "
			"away and a new one is made",
			path);
	fclose(file);
	return status;
}

int
ql_signer_open(const char *path, struct ql_signer **ret_signer, struct ql_err *e)
{
	if (access(path, F_OK) && errno == ENOENT && make_key(path, e))
		return -1;
	struct ql_signer *signer = calloc(1, sizeof(*signer));
	if (!signer)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the signing key");
	if (load(path, signer, e)) {
		ql_signer_free(signer);
		return -1;
	}
	*ret_signer = signer;
	return 0;
}

void
ql_signer_free(struct ql_signer *signer)
{
	if (!signer)
		return;
	EVP_PKEY_free(signer->key);
	free(signer);
}

const unsigned char *
ql_signer_public(const struct ql_signer *signer)
{
	return signer->public;
}

int
ql_signer_sign(const struct ql_signer *signer, const void *data, size_t len,
	unsigned char ret_signature[static QL_SIGN_BYTES], struct ql_err *e)
{
	size_t size = QL_SIGN_BYTES;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, signer->key) == 1 &&
		  EVP_DigestSign(ctx, ret_signature, &size, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : ql_fail(e, QL_E_SYSTEM, "couldn't sign: out of memory");
}

bool
ql_sign_holds(const unsigned char key[static QL_SIGN_KEY], const void *data, size_t len,
	const unsigned char signature[static QL_SIGN_BYTES])
{
	EVP_PKEY *public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, QL_SIGN_KEY);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool holds = public && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, public) == 1 &&
		     EVP_DigestVerify(ctx, signature, QL_SIGN_BYTES, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(public);
	return holds;
}

int
ql_sign_key_pem(const unsigned char key[static QL_SIGN_KEY], struct ql_buf *buf, struct ql_err *e)
{
	char *text;
	EVP_PKEY *public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, QL_SIGN_KEY);
	BIO *bio = BIO_new(BIO_s_mem());
	bool ok = public && bio && PEM_write_bio_PUBKEY(bio, public) == 1;
	long len = ok ? BIO_get_mem_data(bio, &text) : 0;
	ok = ok && !ql_buf_add(buf, text, (size_t)len);
	BIO_free(bio);
	EVP_PKEY_free(public);
	return ok ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory for a key");
}

int
ql_sign_key_parse(
	const char *pem, size_t len, unsigned char ret_key[static QL_SIGN_KEY], struct ql_err *e)
{
	size_t got = QL_SIGN_KEY;
	BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	bool ok = key && EVP_PKEY_base_id(key) == EVP_PKEY_ED25519 &&
		  EVP_PKEY_get_raw_public_key(key, ret_key, &got) == 1 && got == QL_SIGN_KEY;
	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok ? 0 : ql_fail(e, QL_E_INVALID, "that is no Ed25519 public key in PEM");
}
