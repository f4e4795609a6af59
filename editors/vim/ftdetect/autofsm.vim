" Some other languages have files *.def, too: the header decides.
autocmd BufNewFile,BufRead smtp-states.def setfiletype autofsm
autocmd BufNewFile,BufRead *.def if join(getline(1, 60)) =~? '\<autogen\s\+definitions\>' | set filetype=autofsm | endif
