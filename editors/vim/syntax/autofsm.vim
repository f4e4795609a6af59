" Definitions of GNU AutoFSM and of Postman.
if exists('b:current_syntax')
  finish
endif
syntax case ignore
syntax region  autofsmComment start='/\*' end='\*/'
syntax match   autofsmComment '//.*$'
syntax match   autofsmComment '^#.*$'
syntax match   autofsmPreProc '^#\s*\(ifdef\|ifndef\|else\|endif\|define\|undef\|include\)\>.*$'
syntax match   autofsmHeader  '\<autogen\s\+definitions\>'
syntax match   autofsmBlock   '\<\(state\|event\|transition\|never\|always\|fault\|keyword\|prefix\|type\|method\|cookie\)\>\ze\s*='
syntax match   autofsmKey     '\<\(tst\|tev\|next\|ttype\|reply\|says\|path\|after\|accepts\|when\|wait\|pace\|cut\|end\|first\|over\|each\|only\|done\)\>\ze\s*[=;]'
syntax match   autofsmCode    '\<[2-5]\d\d\>'
syntax case match
syntax match   autofsmEvent   '\<[A-Z][A-Z0-9_]\+\>'
syntax keyword autofsmState   init invalid noop
syntax region  autofsmString  start=+"+ skip=+\\.+ end=+"+ contains=autofsmCode
syntax region  autofsmString  start=+'+ skip=+\\['\\]+ end=+'+ contains=autofsmCode,autofsmEvent
highlight default link autofsmComment Comment
highlight default link autofsmPreProc PreProc
highlight default link autofsmHeader  PreProc
highlight default link autofsmBlock   Statement
highlight default link autofsmKey     Identifier
highlight default link autofsmCode    Number
highlight default link autofsmEvent   Constant
highlight default link autofsmState   Special
highlight default link autofsmString  String
let b:current_syntax = 'autofsm'
