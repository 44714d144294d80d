<h1>${title}</h1>
%{ for link in links ~}
<a href="/${link}">${upper(link)}</a>
%{ endfor ~}
