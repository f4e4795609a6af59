" Some other languages have files *.def, too: the header decides, or a fault, which stands in a file without one.
autocmd BufNewFile,BufRead smtp-states.def setfiletype autofsm
autocmd BufNewFile,BufRead *.def if join(getline(1, 60), "\n") =~? '\<autogen\s\+definitions\>\|\%(^\|\n\)\s*fault\s*=' | set filetype=autofsm | endif
