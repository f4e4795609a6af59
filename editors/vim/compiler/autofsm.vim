" `:compiler autofsm`, then `:make` checks the definition in the buffer and goes to the first finding.
" let g:postman = '/path/to/postman' names the program.
if exists('current_compiler')
  finish
endif
let current_compiler = 'autofsm'
let s:program = get(g:, 'postman', 'postman')
execute 'CompilerSet makeprg=' . escape(s:program . ' fsm check --format short %:S', ' \|"')
CompilerSet errorformat=%f:%l:%v:\ %trror:\ %m,%f:%l:%v:\ %tarning:\ %m
