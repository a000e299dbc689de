/* The loop of a null build: which files of a directory have another signature than a snapshot says.
 *
 * It does what `proofs.differing_here` does in Python, where every look at a file costs three times what the kernel takes
 * for it. It is compiled when bldr is installed, against the stable ABI of Python 3.11, and is optional.
 */

#define Py_LIMITED_API 0x030b0000
#define _GNU_SOURCE
#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 2 /* `proofs` believes no other: to be raised there and here with every change of what is answered */
#define NUMBERS 5 /* of a signature: times of modification and change in ns, inode, size, mode */
#define NS 1000000000LL

static int is_same(const struct stat *seen, const unsigned char *wanted)
{
    int64_t number[NUMBERS];

    memcpy(number, wanted, sizeof number); /* it may stand anywhere */
    return number[0] == seen->st_mtim.tv_sec * NS + seen->st_mtim.tv_nsec &&
           number[1] == seen->st_ctim.tv_sec * NS + seen->st_ctim.tv_nsec && number[2] == (int64_t)seen->st_ino &&
           number[3] == (int64_t)seen->st_size && number[4] == (int64_t)seen->st_mode;
}

/* The positions of files that differ are put into `found`: how many; -1 where one of the files, or the directory, cannot
 * be looked at. */
static Py_ssize_t compare(const char *directory, char **names, Py_ssize_t count, const unsigned char *packed, int flags,
                          Py_ssize_t *found)
{
    struct stat seen;
    Py_ssize_t differing = 0;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    for (Py_ssize_t at = 0; at < count; at++) {
        if (fstatat(fd, names[at], &seen, flags) != 0) {
            differing = -1;
            break;
        }
        if (!is_same(&seen, packed + at * NUMBERS * sizeof(int64_t)))
            found[differing++] = at;
    }
    close(fd);
    return differing;
}

static PyObject *positions(const Py_ssize_t *found, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);

    for (Py_ssize_t at = 0; list != NULL && at < count; at++) {
        PyObject *number = PyLong_FromSsize_t(found[at]);
        if (number == NULL || PyList_SetItem(list, at, number) != 0)
            Py_CLEAR(list);
    }
    return list;
}

/* The name at a place as the file system has it; `kept` owns it where the text does not. */
static char *name_of(PyObject *names, Py_ssize_t at, PyObject *kept)
{
    PyObject *text = PyTuple_GetItem(names, at), *encoded;
    Py_ssize_t size;
    char *name;

    if (text == NULL)
        return NULL;
    name = (char *)PyUnicode_AsUTF8AndSize(text, &size);
    if (name == NULL) { /* it is no UTF-8 */
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return NULL;
        PyErr_Clear();
        encoded = PyUnicode_EncodeFSDefault(text);
        if (encoded == NULL)
            return NULL;
        if (PyList_Append(kept, encoded) != 0 || PyBytes_AsStringAndSize(encoded, &name, &size) != 0)
            name = NULL;
        Py_DECREF(encoded);
        if (name == NULL)
            return NULL;
    }
    if (strlen(name) != (size_t)size) {
        PyErr_SetString(PyExc_ValueError, "embedded null character");
        return NULL;
    }
    return name;
}

static PyObject *differing_here(PyObject *module, PyObject *arguments)
{
    PyObject *path, *names, *numbers, *kept = NULL, *result = NULL;
    char *packed;
    char **entries = NULL;
    Py_ssize_t *found = NULL, size, count, differing;
    int follow;

    (void)module;
    /* No format with a length: what the headers of 3.13 make of one, older interpreters refuse. */
    if (!PyArg_ParseTuple(arguments, "O&O!Sp", PyUnicode_FSConverter, &path, &PyTuple_Type, &names, &numbers, &follow))
        return NULL;
    if (PyBytes_AsStringAndSize(numbers, &packed, &size) != 0)
        goto done;
    count = PyTuple_Size(names);
    if (size != count * NUMBERS * (Py_ssize_t)sizeof(int64_t)) {
        PyErr_SetString(PyExc_ValueError, "five numbers of 64 bits are needed for every name");
        goto done;
    }
    kept = PyList_New(0);
    entries = PyMem_Malloc((size_t)(count + 1) * sizeof *entries);
    found = PyMem_Malloc((size_t)(count + 1) * sizeof *found);
    if (kept == NULL || entries == NULL || found == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        entries[at] = name_of(names, at, kept);
        if (entries[at] == NULL)
            goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    differing = compare(PyBytes_AsString(path), entries, count, (const unsigned char *)packed,
                        follow ? 0 : AT_SYMLINK_NOFOLLOW, found);
    Py_END_ALLOW_THREADS
    if (differing < 0) {
        result = Py_None;
        Py_INCREF(result);
    } else {
        result = positions(found, differing);
    }
done:
    PyMem_Free(found);
    PyMem_Free(entries);
    Py_XDECREF(kept);
    Py_DECREF(path);
    return result;
}

static PyMethodDef methods[] = {
    {"differing_here", differing_here, METH_VARARGS, "See `bldr.snapshot.proofs.differing_here`."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_signatures", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__signatures(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (module != NULL && (PyModule_AddIntConstant(module, "VERSION", VERSION) != 0 ||
                           PyModule_AddStringConstant(module, "SOURCE", SOURCE) != 0))
        Py_CLEAR(module);
    return module;
}
