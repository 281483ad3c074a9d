"""Lists of jobs: filters as SQL, pages in the order of creation, and searches of texts."""
