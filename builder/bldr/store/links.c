/* Many hard links to blobs at a time.
 *
 * It does what `links.make_links` does in Python, where each costs half as much again as the kernel takes for it. It is
 * compiled when bldr is installed, against the stable ABI of Python 3.11, and is optional.
 */

#define Py_LIMITED_API 0x030b0000
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <Python.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1 /* `links` believes no other: to be raised there and here with every change of what is answered */
#define NS 1000000000LL

struct link {
    const char *name;
    unsigned mode;
    long long size;
    const char *path;
    unsigned long long inode;
};

/* Links are made in order: how many, before one that is not what it should be, or that cannot be made. */
static Py_ssize_t make(struct link *links, Py_ssize_t count, int from, int to, long long modified_ns)
{
    struct stat seen;
    Py_ssize_t made;

    for (made = 0; made < count; made++) {
        struct link *link = links + made;
        if (fstatat(from, link->name, &seen, AT_SYMLINK_NOFOLLOW) != 0 || seen.st_mode != link->mode ||
            seen.st_size != link->size || seen.st_mtim.tv_sec != modified_ns / NS ||
            seen.st_mtim.tv_nsec != modified_ns % NS ||
            linkat(from, link->name, to, link->path, 0) != 0)
            break;
        link->inode = seen.st_ino;
    }
    return made;
}

/* The text as the file system has it, which stays the text's own; NULL where it is no name, or no UTF-8. */
static const char *name_of(PyObject *text)
{
    Py_ssize_t size;
    const char *name = PyUnicode_AsUTF8AndSize(text, &size);

    return name != NULL && strlen(name) == (size_t)size ? name : NULL;
}

/* How many are understood, before one with a name or a size that only Python can hold; -1 with an error set. */
static Py_ssize_t read_links(PyObject *wanted, Py_ssize_t count, struct link *links)
{
    Py_ssize_t at;

    for (at = 0; at < count; at++) {
        PyObject *tuple = PyTuple_GetItem(wanted, at), *name, *path;
        struct link *link = links + at;
        if (tuple == NULL || !PyArg_ParseTuple(tuple, "UILU", &name, &link->mode, &link->size, &path) ||
            (link->name = name_of(name)) == NULL || (link->path = name_of(path)) == NULL)
            break;
    }
    if (PyErr_Occurred() == NULL)
        return at;
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) && !PyErr_ExceptionMatches(PyExc_OverflowError))
        return -1;
    PyErr_Clear();
    return at;
}

static PyObject *make_links(PyObject *module, PyObject *arguments)
{
    PyObject *wanted, *made = NULL;
    struct link *links;
    Py_ssize_t count;
    long long modified_ns;
    int from, to;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "O!iiL", &PyTuple_Type, &wanted, &from, &to, &modified_ns))
        return NULL;
    count = PyTuple_Size(wanted);
    links = PyMem_Malloc((size_t)(count + 1) * sizeof *links);
    if (links == NULL)
        return PyErr_NoMemory();
    count = read_links(wanted, count, links);
    if (count >= 0) {
        Py_BEGIN_ALLOW_THREADS
        count = make(links, count, from, to, modified_ns);
        Py_END_ALLOW_THREADS
        made = PyList_New(count);
    }
    for (Py_ssize_t at = 0; made != NULL && at < count; at++) {
        PyObject *inode = PyLong_FromUnsignedLongLong(links[at].inode);
        if (inode == NULL || PyList_SetItem(made, at, inode) != 0)
            Py_CLEAR(made);
    }
    PyMem_Free(links);
    return made;
}

static PyMethodDef methods[] = {
    {"make_links", make_links, METH_VARARGS, "See `bldr.store.links.make_links`."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_links", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__links(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (module != NULL && (PyModule_AddIntConstant(module, "VERSION", VERSION) != 0 ||
                           PyModule_AddStringConstant(module, "SOURCE", SOURCE) != 0))
        Py_CLEAR(module);
    return module;
}
