"""What is kept between builds: blobs, results, states of files, memoised answers; and how it is thrown away again."""
